# shellcheck shell=bash
# Steps of a longer script: each is announced with the time since the start; what it prints goes to the screen as well as
# to a file, so that a failure can be read again.

STEPS_START=$SECONDS

# step TEXT: announces what is done next.
step() {
  printf '\n==> [%2d:%02d] %s\n' $(((SECONDS - STEPS_START) / 60)) $(((SECONDS - STEPS_START) % 60)) "$*"
}

# must COMMAND...: the script ends with the command's exit code when it fails.
must() {
  local code
  "$@" || {
    code=$?
    printf 'error: failed with exit code %s: %s\n' "$code" "$*" >&2
    exit "$code"
  }
}

# build_preset NAME: configures when needed, and builds, saying what fails.
build_preset() {
  step "Configuring ($1)"
  must cmake --preset "$1" -S . -Wno-dev --log-level=WARNING
  step "Building ($1)"
  NINJA_STATUS='[%f/%t %es] ' must cmake --build --preset "$1"
}

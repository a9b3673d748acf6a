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

# build_preset NAME [TARGET...]: configures when needed, and builds everything or what is named.
build_preset() {
  local preset=$1
  shift
  step "Configuring ($preset)"
  must cmake --preset "$preset" -S . -Wno-dev --log-level=WARNING
  step "Building ($preset)"
  NINJA_STATUS='[%f/%t %es] ' must cmake --build --preset "$preset" ${1:+--target "$@"}
}

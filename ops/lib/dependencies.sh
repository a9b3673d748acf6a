# shellcheck shell=bash
# Installs what Holdfast is built from, with apt, and only what is missing.
#
# Sourced by ops/up and ops/test. Needs root, or sudo, only when something is missing.
# c-raft must be the 0.22 line. Debian 13 carries it; on Debian 12 it comes from bookworm-backports,
# which is added pinned: nothing but c-raft is ever taken from there.

readonly HOLDFAST_BUILD_PACKAGES=(
  gcc g++ cmake ninja-build pkg-config
  libuv1-dev librocksdb-dev libprotobuf-c-dev protobuf-c-compiler
  libcriterion-dev libcyaml-dev libyaml-dev libxxhash-dev libbsd-dev uthash-dev
  python3
)
readonly HOLDFAST_TEST_PACKAGES=(
  clang libclang-rt-dev procps iproute2
)
# Clients of RabbitMQ, which the end-to-end tests run as they are; their Python is Debian's (/usr/bin/python3).
readonly HOLDFAST_CLIENT_PACKAGES=(
  python3-pika python3-amqp python3-kombu python3-celery celery
  librabbitmq-dev amqp-tools
  ruby-bunny
  librabbitmq-client-java default-jdk-headless
  nodejs
)
readonly HOLDFAST_RAFT_PACKAGES=(libraft-dev libraft0)
readonly HOLDFAST_RAFT_VERSION=0.22.1

say() { printf '%s\n' "$*" >&2; }

as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    say "error: installing packages needs root; run this as root, or install sudo"
    return 1
  fi
}

# True when every package named is installed.
packages_installed() {
  local package
  for package in "$@"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || return 1
  done
}

raft_installed() {
  packages_installed "${HOLDFAST_RAFT_PACKAGES[@]}" &&
    dpkg-query -W -f='${Version}' libraft-dev | grep -q "^${HOLDFAST_RAFT_VERSION}-"
}

# Prints the address of the Debian archive that this machine already uses for its own release.
archive_address() {
  # shellcheck disable=SC2016  # apt's own variables, not the shell's
  apt-get indextargets --format '$(SITE) $(CODENAME) $(ORIGIN)' 'Created-By: Packages' |
    awk -v codename="$1" '$2 == codename && $3 == "Debian" { print $1; exit }'
}

# Adds bookworm-backports, pinned below everything else except for the c-raft packages.
add_backports() {
  local address
  address=$(archive_address bookworm)
  if [ -z "$address" ]; then
    say "error: apt on this machine names no Debian bookworm archive, so there is nowhere to take backports from"
    return 1
  fi
  as_root tee /etc/apt/sources.list.d/holdfast-backports.sources >/dev/null <<SOURCES || return 1
Types: deb
URIs: $address
Suites: bookworm-backports
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
SOURCES
  as_root tee /etc/apt/preferences.d/holdfast-backports >/dev/null <<PREFERENCES
Explanation: Holdfast takes c-raft from backports, and nothing else.
Package: *
Pin: release n=bookworm-backports
Pin-Priority: -1

Package: ${HOLDFAST_RAFT_PACKAGES[*]}
Pin: release n=bookworm-backports
Pin-Priority: 600
PREFERENCES
}

apt_update() { as_root apt-get update -qq; }

apt_install() {
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@"
}

# amqplib, the client for Node.js, is not in Debian: npm takes it to build/npm, the version that package-lock.json names. Where that
# cannot be done all else goes on, and the test that wants it says so.
install_npm_packages() {
  local root wanted
  root=$(realpath "$(dirname "${BASH_SOURCE[0]}")/../..") || return 1
  wanted=$root/chaos-tests/e2e/amqp/package-lock.json
  if cmp -s "$wanted" "$root/build/npm/package-lock.json" && [ -d "$root/build/npm/node_modules/amqplib" ]; then
    return 0
  fi
  # Node.js brings npm along where it is not Debian's.
  command -v npm >/dev/null || apt_install npm || return 1
  mkdir -p "$root/build/npm" && cp "${wanted%-lock.json}.json" "$wanted" "$root/build/npm/" || return 1
  if ! npm ci --prefix "$root/build/npm" --ignore-scripts --no-audit --no-fund --loglevel=error; then
    rm -f "$root/build/npm/package-lock.json"
    say "note: npm did not install amqplib: the test of that client will fail"
  fi
}

# install_dependencies [test]: everything needed to build and run; with "test", the test tools and other people's clients too.
install_dependencies() {
  local packages=("${HOLDFAST_BUILD_PACKAGES[@]}")
  if [ "${1:-}" = test ]; then
    packages+=("${HOLDFAST_TEST_PACKAGES[@]}" "${HOLDFAST_CLIENT_PACKAGES[@]}")
  fi
  install_packages "${packages[@]}" || return 1
  if [ "${1:-}" = test ]; then
    install_npm_packages
  fi
}

# install_packages NAME...: and c-raft.
install_packages() {
  local packages=("$@") codename
  if packages_installed "${packages[@]}" && raft_installed; then
    return 0
  fi
  # shellcheck disable=SC1091  # there on every Debian
  codename=$(. /etc/os-release && printf '%s' "${VERSION_CODENAME:-}")
  case "$codename" in
    bookworm | trixie) ;;
    *)
      say "error: this is '${codename:-unknown}'; Holdfast is built on Debian 12 (bookworm) or 13 (trixie)"
      return 1
      ;;
  esac
  say "==> Reading the package lists"
  apt_update || return 1
  if [ "$codename" = bookworm ] && ! raft_installed; then
    say "==> Adding bookworm-backports for c-raft $HOLDFAST_RAFT_VERSION (pinned to that package)"
    add_backports || return 1
    apt_update || return 1
  fi
  say "==> Installing packages (a few minutes on a fresh machine)"
  apt_install "${packages[@]}" "${HOLDFAST_RAFT_PACKAGES[@]}" || return 1
  if ! raft_installed; then
    say "error: c-raft $HOLDFAST_RAFT_VERSION was not installed; apt offers:"
    apt-cache policy libraft-dev >&2
    return 1
  fi
}

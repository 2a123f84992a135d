# shellcheck shell=bash
# Sourced by ./run, ./test and ./dev: finds a Python of 3.11 or later, or gets one.

_python_fits() {
  "$1" -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

_python_search() {
  local candidate path
  # The system's own first: a Python of a version manager may vanish under the virtual environment.
  for candidate in /usr/bin/python3 python3 python3.13 python3.12 python3.11; do
    path=$(command -v "$candidate" 2>/dev/null) || continue
    if _python_fits "$path"; then
      printf '%s\n' "$path"
      return 0
    fi
  done
  return 1
}

# Prints the path of a fitting Python. As root on Debian and Ubuntu it is installed when missing;
# otherwise the one command to type is named and the script ends.
find_python() {
  _python_search && return 0
  local install=(apt-get install -y --no-install-recommends python3 python3-venv)
  if command -v apt-get >/dev/null 2>&1 && [[ $(id -u) == 0 ]]; then
    echo "==> installing python3 and python3-venv" >&2
    { apt-get update -q && DEBIAN_FRONTEND=noninteractive "${install[@]}"; } >&2
    _python_search && return 0
  fi
  echo "Tarmac needs Python 3.11 or later with the venv module. Type this, then start again:" >&2
  echo "  sudo ${install[*]}" >&2
  exit 1
}

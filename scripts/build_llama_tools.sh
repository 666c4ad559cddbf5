#!/usr/bin/env bash
# Build llama-perplexity, llama-imatrix, llama-quantize, llama-bench, llama-batched-bench and llama-server from the
# engine's own source distribution, against the libraries that the installed engine brought along: the same code
# computes on both sides of a comparison. They land in build/llama-tools/; about a minute on two cores.
# LLAMA_SOURCE=DIR uses an unpacked source distribution instead of fetching one.
set -euo pipefail
cd "$(dirname "$0")/.."

python=${VENV:-.venv}/bin/python
out=$PWD/build/llama-tools
version=$("$python" -c 'import importlib.metadata as m; print(m.version("llama-cpp-python"))')
libraries=$("$python" -c 'import importlib.util as u, pathlib as p; print(p.Path(u.find_spec("llama_cpp").origin).parents[1] / "lib")')
stamp="$version $libraries: perplexity imatrix quantize llama-bench batched-bench server"

if [ "$(cat "$out/version" 2>/dev/null)" = "$stamp" ]; then
  exit 0
fi
if ! ls "$libraries"/libllama-common.* >/dev/null 2>&1; then
  echo "$libraries has no libllama-common: a prebuilt engine → compile the engine (make clean, then make test without LLAMA_WHEEL)" >&2
  exit 1
fi

mkdir -p "$out"
source=${LLAMA_SOURCE:-$out/llama_cpp_python-$version}
if [ ! -d "$source" ]; then
  echo "getting the source of llama-cpp-python $version"
  "$python" -m pip download --quiet --disable-pip-version-check --no-deps \
    --no-binary llama-cpp-python --dest "$out" "llama-cpp-python==$version"
  tar -xzf "$out/llama_cpp_python-$version.tar.gz" -C "$out"
fi
llama=$source/vendor/llama.cpp

compiler=("${CXX:-c++}" -std=c++17 -O2 -DNDEBUG -pthread
  -I"$llama" -I"$llama/include" -I"$llama/ggml/include" -I"$llama/common" -I"$llama/vendor")
# DT_RPATH, not DT_RUNPATH: the libraries find each other through it too.
linked=(-L"$libraries" -Wl,--disable-new-dtags,-rpath,"$libraries"
  -lllama-common -lllama -lggml -lggml-base)

for tool in perplexity imatrix quantize llama-bench batched-bench; do
  binary=$out/llama-${tool#llama-}
  echo "compiling $(basename "$binary")"
  "${compiler[@]}" "$llama/tools/$tool"/*.cpp -o "$binary" "${linked[@]}"
done

# The server takes its HTTP code from libllama-common, so that both must have been compiled with TLS or both
# without; its page is left out: a header that says there is none stands in for the generated one.
echo "compiling llama-server"
objects=$out/server
mkdir -p "$objects"
cat >"$objects/ui.h" <<'HEADER'
#pragma once
#include <array>
#include <string>
struct llama_ui_asset {
    std::string           name;
    const unsigned char * data;
    std::size_t           size;
    std::string           etag;
    std::string           type;
};
inline const llama_ui_asset * llama_ui_find_asset(const std::string &) { return nullptr; }
inline bool llama_ui_use_gzip() { return false; }
inline const std::array<llama_ui_asset, 0> & llama_ui_get_assets() {
    static const std::array<llama_ui_asset, 0> none{};
    return none;
}
HEADER
server=("${compiler[@]}" -I"$llama/tools/mtmd" -I"$llama/tools/server" -I"$objects")
if grep -q SSL_CTX_new "$libraries"/libllama-common.*; then
  server+=(-DCPPHTTPLIB_OPENSSL_SUPPORT)
fi
printf '%s\n' "$llama"/tools/server/*.cpp |
  OBJECTS=$objects xargs -P "$(getconf _NPROCESSORS_ONLN)" -I{} \
    sh -c 'file=$1; shift; exec "$@" -c "$file" -o "$OBJECTS/$(basename "$file" .cpp).o"' sh {} "${server[@]}"
"${CXX:-c++}" "$objects"/*.o -o "$out/llama-server" -pthread -lmtmd "${linked[@]}"
rm -r "$objects"

echo "$stamp" >"$out/version"

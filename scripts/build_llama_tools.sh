#!/usr/bin/env bash
# Build llama-perplexity and llama-bench from the engine's own source distribution, against the libraries
# that the installed engine brought along: the same code computes on both sides of a comparison.
# They land in build/llama-tools/. LLAMA_SOURCE=DIR uses an unpacked source distribution instead.
set -euo pipefail
cd "$(dirname "$0")/.."

python=${VENV:-.venv}/bin/python
out=$PWD/build/llama-tools
version=$("$python" -c 'import importlib.metadata as m; print(m.version("llama-cpp-python"))')
libraries=$("$python" -c 'import importlib.util as u, pathlib as p; print(p.Path(u.find_spec("llama_cpp").origin).parents[1] / "lib")')

if [ "$(cat "$out/version" 2>/dev/null)" = "$version $libraries" ]; then
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

for tool in perplexity llama-bench; do
  binary=$out/llama-${tool#llama-}
  echo "compiling $(basename "$binary")"
  # DT_RPATH, not DT_RUNPATH: the libraries find each other through it too.
  "${CXX:-c++}" -std=c++17 -O2 -DNDEBUG -pthread \
    -I"$llama/include" -I"$llama/ggml/include" -I"$llama/common" -I"$llama/vendor" \
    "$llama/tools/$tool"/*.cpp -o "$binary" \
    -L"$libraries" -Wl,--disable-new-dtags,-rpath,"$libraries" \
    -lllama-common -lllama -lggml -lggml-base
done
echo "$version $libraries" >"$out/version"

#!/bin/sh
# @TITLE@: a language model in one executable file, made by loaf @VERSION@.
#
#   ./FILE                        serve on http://127.0.0.1:8080 and open the page
#   ./FILE --server --nobrowser   serve only
#   ./FILE -p "..."               answer once
#   ./FILE --help                 everything else
#
# The file is also a ZIP archive: `unzip -l FILE` lists the weights and the rest.
#
# This script unpacks the program once into a private cache folder and becomes it. The weights stay
# where they are. It runs under dash, busybox ash and bash; it is read whole before any of it runs.

bundle_size=@BUNDLE_SIZE@

main() {
    (: <&0) 2>/dev/null || exec </dev/null   # started with standard input closed
    find_self
    check_size
    choose_runtime
    check_c_library
    choose_cache
    [ -e "$core/.whole" ] || unpack
    [ -x "$core/$program" ] ||
        die "cannot run programs from $cache: the file system it is on is mounted noexec. Set LOAF_CACHE_DIR to a folder on another one"
    LOAF_BUNDLE=$self
    export LOAF_BUNDLE
    exec "$core/$program" "$@"
}

die() {
    printf '%s: %s.\n' "${0##*/}" "$1" >&2
    exit 1
}

# The file's own path, absolute: $0 has a slash unless it was started as `sh NAME`.
find_self() {
    self=$0
    case $self in
        */*) ;;
        *) if [ -f "./$self" ]; then self=./$self; else self=$(command -v -- "$self"); fi ;;
    esac
    case $self in
        /*) ;;
        *) self=$PWD/$self ;;
    esac
    [ -r "$self" ] || die "cannot read $self: allow it with chmod +r"
}

# `ls` tells a size without reading the file; `wc -c` reads all of it under busybox.
check_size() {
    size=$(field 5 "$self")
    [ "$size" -ge "$bundle_size" ] ||
        die "the file is incomplete: it holds $(of "$size" "$bundle_size"). Download or copy it again"
}

# One line a platform: where its program lies in this file (in blocks of 64 KiB) and what it needs.
choose_runtime() {
    platform=$(uname -sm)
    case $platform in
@RUNTIMES@
        *) die "no program for $platform in this file, only for: @PLATFORMS@" ;;
    esac
}

check_c_library() {
    have=$(getconf GNU_LIBC_VERSION 2>/dev/null)
    have=${have#glibc }
    case $have in
        [0-9]*.[0-9]*)
            older "$have" "$glibc" && die "needs the C library glibc $glibc or newer, and this system has $have" ;;
        *)
            [ -e "$loader" ] ||
                die "needs the C library glibc $glibc or newer, and this system has none (musl, as in Alpine, is not supported yet)" ;;
    esac
}

older() {   # is version $1 older than version $2? Both are MAJOR.MINOR, more may follow
    major=${1%%.*} minor=${1#*.} minor=${minor%%[!0-9]*}
    [ "$major" -lt "${2%%.*}" ] || { [ "$major" -eq "${2%%.*}" ] && [ "$minor" -lt "${2#*.}" ]; }
}

choose_cache() {
    uid=$(id -u)
    if [ -n "${LOAF_CACHE_DIR:-}" ]; then cache=$LOAF_CACHE_DIR
    elif [ -n "${XDG_CACHE_HOME:-}" ]; then cache=$XDG_CACHE_HOME/loaf
    elif [ -n "${HOME:-}" ] && [ -d "$HOME" ]; then cache=$HOME/.cache/loaf
    else cache=${TMPDIR:-/tmp}/loaf-$uid   # services often have no home
    fi
    case $cache in
        /*) ;;
        *) cache=$PWD/$cache ;;
    esac
    core=$cache/core-$key
    if [ ! -d "$cache" ]; then
        why=$( (umask 077 && LC_ALL=C mkdir -p -- "$cache") 2>&1) ||
            die "cannot make the folder $cache to unpack into ($(reason "$why")). Set LOAF_CACHE_DIR to one that can be written"
    fi
    # What lies in the cache is run, so nobody else may be able to change it.
    owner=$(field 3 "$cache")
    [ "$owner" = "$uid" ] || [ "$owner" = 0 ] ||
        die "will not use $cache: it belongs to another user. Set LOAF_CACHE_DIR to a folder of your own"
    case $(field 1 "$cache") in
        ?????w* | ????????w*)
            die "will not use $cache: other users can write to it. Set LOAF_CACHE_DIR to a private folder, or run: chmod go-w '$cache'" ;;
    esac
}

# Unpacks into a fresh folder beside the final one and renames it: what has the final name is whole.
# Of several at once, each unpacks its own; whoever comes second finds the name taken and uses that.
unpack() {
    host=$(uname -n)
    remove_leftovers
    work=$cache/.core-$key.$host.$$
    trap 'rm -rf -- "$work"; exit 130' HUP INT TERM
    [ ! -t 2 ] || printf 'First start: unpacking %s into %s ...\n' "$(of "$unpacked_size")" "$cache" >&2
    check_core
    why=$( (umask 077 && export LC_ALL=C && mkdir -- "$work" && unpack_core) 2>&1)
    if [ ! -e "$work/.whole" ]; then
        rm -rf -- "$work"
        die "cannot unpack $(of "$unpacked_size") into $cache ($(reason "$why")). Set LOAF_CACHE_DIR to a folder on another file system, or make room"
    fi
    [ -e "$core/.whole" ] || rm -rf -- "$core"   # something, a tidying job say, took parts of it away
    mv -- "$work" "$core" 2>/dev/null
    rm -rf -- "$work" "$core/${work##*/}"         # we came second: mv left it where it was, or inside
    trap - HUP INT TERM
    [ -e "$core/.whole" ] || die "cannot rename $work to $core. Set LOAF_CACHE_DIR to another folder"
}

# A changed byte must not run. gzip's own checksum guards against accidents where sha256sum is missing.
check_core() {
    command -v sha256sum >/dev/null || return 0
    sum=$(core_bytes | sha256sum)
    [ "${sum%% *}" = "$core_sha256" ] ||
        die "the file is damaged: the program in it does not have the checksum it should. Download or copy it again"
}

# The marker is written only when both gzip and tar are content; a pipeline tells of its last command only.
unpack_core() {
    { core_bytes | gzip -dc && : >"$work/.intact"; } | tar -x -f - -C "$work" &&
        mv -- "$work/.intact" "$work/.whole"
}

core_bytes() {   # dd seeks to whole blocks, so this costs the same wherever the program lies
    dd if="$self" bs=65536 skip="$core_block" count=$((core_size / 65536 + 1)) 2>/dev/null | head -c "$core_size"
}

# Folders of launches on this host that were killed while unpacking.
remove_leftovers() {
    for left in "$cache"/.core-*."$host".*; do
        [ -d "$left" ] && ! kill -0 "${left##*.}" 2>/dev/null && rm -rf -- "$left"
    done
}

field() {   # the field $1 of `ls -l` for the file $2: 1 permissions, 3 owner, 5 size
    # shellcheck disable=SC2012,SC2046
    (want=$1; set -f; set -- $(ls -dnL -- "$2" 2>/dev/null); eval "printf '%s' \"\${$want:-0}\"")
}

reason() {   # the first line of what a command complained of, without the command's and the file's name
    line=${1%%"
"*}
    printf '%s' "${line##*: }"
}

of() {   # "1.2 of 4.1 GB" for two sizes in bytes, "4.1 GB" for one
    last=${2:-$1}
    if [ "$last" -ge 1000000000 ]; then unit=GB step=100000000; else unit=MB step=100000; fi
    [ $# -eq 1 ] || printf '%s of ' "$(($1 / step / 10)).$(($1 / step % 10))"
    printf '%s %s' "$((last / step / 10)).$((last / step % 10))" "$unit"
}

main "$@"
exit 1

#!/bin/sh
@ABOUT@
#
# This script unpacks the program once into a private cache folder and becomes it. All else stays
# where it is. It runs under dash, busybox ash and bash, and starts few other programs when there is
# nothing to unpack: each takes a millisecond or two.

{   # as one command, the script is read whole before any of it runs: half of it does nothing
bundle_size=@BUNDLE_SIZE@

main() {
    open_standard_streams
    find_self
    check_size
    choose_runtime
    choose_cache
    check_cache
    unset LOAF_UNPACKED
    whole || unpack
    choose_c_library
    [ -x "$core/$program" ] || die_of_noexec
    ask_for_huge_pages
    LOAF_BUNDLE=$self
    export LOAF_BUNDLE
    exec "$core/$program" "$@"
}

die() {
    printf '%s: %s.\n' "${0##*/}" "$1" >&2
    exit 1
}

# A stream that was closed would be the first file that the program opens. (`<&0` would not notice: it does nothing.)
open_standard_streams() {
    { :; } 2>/dev/null 3<&0 || exec </dev/null
    { :; } 2>/dev/null 3>&1 || exec >/dev/null
    { :; } 3>&2 || exec 2>/dev/null
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

check_size() {
    look_at "$self"
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

# The system's C library, where it is as new as the program needs: drivers of GPUs may need just that one. Else the one
# that came along. The system's loader tells its version since glibc 2.33; musl's, under the same name, does not.
choose_c_library() {
    said=$("$loader" --version 2>/dev/null)
    have=${said#*" release version "}
    case $have in
        [0-9]*.[0-9]*) older "$have" "$glibc" || return 0 ;;
    esac
    [ -d "$core/glibc" ] ||
        die "needs the C library glibc $glibc or newer, which this system does not have, and brings none: loaf upgrade gives it one"
    case $core in
        *[:\$"
"]*) die "cannot use $cache: its path has a colon, a dollar or a line break in it. Set LOAF_CACHE_DIR to another folder" ;;
    esac
    find_prepared || prepare_in_place
    program=$prepared
}

older() {   # is version $1 older than version $2? Both are MAJOR.MINOR, more may follow
    major=${1%%.*} minor=${1#*.} minor=${minor%%[!0-9]*}
    [ "$major" -lt "${2%%.*}" ] || { [ "$major" -eq "${2%%.*}" ] && [ "$minor" -lt "${2#*.}" ]; }
}

# The first place where there is a folder, or one can be made. What the user names is taken at their word.
choose_cache() {
    if [ -n "${LOAF_CACHE_DIR:-}" ]; then cache=$LOAF_CACHE_DIR
    elif [ -n "${XDG_CACHE_HOME:-}" ] && can_be_cache "$XDG_CACHE_HOME/loaf"; then :
    elif [ -d "${HOME:-}" ] && [ "$HOME" != / ] && can_be_cache "$HOME/.cache/loaf"; then :
    else cache=${TMPDIR:-/tmp}/loaf-$(id -u)   # services often have no home, or / for one
    fi
    case $cache in
        /*) ;;
        *) cache=$PWD/$cache ;;
    esac
    core=$cache/core-$key
}

can_be_cache() {
    cache=$1
    [ -d "$cache" ] || (umask 077 && mkdir -p -- "$cache") 2>/dev/null || return 1
    [ -e "$cache/core-$key/.whole" ] && return   # one that root has prepared need not be written to
    { mkdir -- "$cache/.try.$$" && rm -rf -- "$cache/.try.$$"; } 2>/dev/null   # busybox's -w passes over "read-only"
}

# What lies in the cache is run, so nobody else may be able to change it.
check_cache() {
    if [ ! -d "$cache" ]; then
        why=$( (umask 077 && LC_ALL=C mkdir -p -- "$cache") 2>&1) ||
            die "cannot make the folder $cache to unpack into ($(reason "$why")). Set LOAF_CACHE_DIR to one that can be written"
    fi
    look_at "$cache"
    # shellcheck disable=SC3067  # -O, "mine", is not in POSIX, but in every shell; it spares an `id`
    [ "$owner" = 0 ] || [ -O "$cache" ] ||
        die "will not use $cache: it belongs to another user. Set LOAF_CACHE_DIR to a folder of your own"
    case $permissions in
        ?????w* | ????????w*)
            die "will not use $cache: other users can write to it. Set LOAF_CACHE_DIR to a private folder, or run: chmod go-w '$cache'" ;;
    esac
}

whole() {   # the marker is the first to go when a tidying job takes files away that nobody reads
    [ -e "$core/.whole" ] && [ -e "$core/$program" ]
}

# Unpacks into a fresh folder beside the final one and renames it: what has the final name is whole.
# Of several at once, each unpacks its own; whoever comes second finds the name taken and uses that.
unpack() {
    for tool in dd head gzip tar; do
        command -v "$tool" >/dev/null || die "needs the command $tool to unpack the program, and this system has none: install it"
    done
    name_this_launch
    remove_leftovers
    work=$cache/.core-$key.$launch
    trap 'interrupted HUP' HUP
    trap 'interrupted INT' INT
    trap 'interrupted TERM' TERM
    [ ! -t 2 ] || printf 'First start: unpacking %s into %s ...\n' "$(of "$unpacked_size")" "$cache" >&2
    check_core
    [ ! -e "$core" ] || whole || mv -- "$core" "$work.damaged" 2>/dev/null
    # Others may read what is unpacked if the cache lets them in: root can prepare one for all.
    why=$( (umask 022 && export LC_ALL=C && mkdir -- "$work" && can_run_programs && unpack_core) 2>&1)
    if [ ! -e "$work/.whole" ]; then
        rm -rf -- "$work" "$work.damaged"
        [ "$why" != noexec ] || die_of_noexec
        die "cannot unpack $(of "$unpacked_size") into $cache ($(reason "$why")). Set LOAF_CACHE_DIR to a folder on another file system, or make room"
    fi
    whole || mv -- "$work" "$core" 2>/dev/null
    rm -rf -- "$work" "$work.damaged" "$core/${work##*/}"   # we came second: mv left it where it was, or inside
    trap - HUP INT TERM
    whole || die "cannot rename $work to $core. Set LOAF_CACHE_DIR to another folder"
    export LOAF_UNPACKED=1   # for --uninstall, which says so
}

interrupted() {   # cleans up, then ends as the signal $1 would have it
    rm -rf -- "$work" "$work.damaged"
    trap - "$1"
    kill -s "$1" $$
    exit 1   # process 1, as in a container, survives its own signals
}

# A changed byte must not run. gzip's own checksum guards against accidents where sha256sum is missing.
check_core() {
    if command -v sha256sum >/dev/null; then
        sum=$(core_bytes | sha256sum)
        [ "${sum%% *}" = "$core_sha256" ]
    else
        core_bytes | gzip -t 2>/dev/null
    fi || die "the file is damaged: the program in it does not have the checksum it should. Download or copy it again"
}

can_run_programs() {   # says only "noexec" if not; in doubt (a full disk) what follows has better words
    printf '#!/bin/sh\n' 2>/dev/null >"$work/.try" && chmod 700 "$work/.try" || return 0
    "$work/.try" 2>/dev/null || { echo noexec && return 1; }
    rm -- "$work/.try"
}

# Every token reads all weights. In pages of 4 KiB, where the system leaves it to programs, that takes up to a tenth
# longer than in huge ones, for which glibc (2.35 and newer) asks on this word. Who has words of their own keeps them
# as they are: until 2.38, glibc hands on only the first of several.
ask_for_huge_pages() {
    GLIBC_TUNABLES=${GLIBC_TUNABLES:-glibc.malloc.hugetlb=1}
    export GLIBC_TUNABLES
}

die_of_noexec() {
    die "cannot run programs from $cache: the file system it is on is mounted noexec. Set LOAF_CACHE_DIR to a folder on another one"
}

# The marker is written only when both gzip and tar are content; a pipeline tells of its last command only.
unpack_core() {
    unset GZIP TAR_OPTIONS   # someone's habits
    { core_bytes | gzip -dc && : >"$work/.intact"; } | tar -x -o -f - -C "$work" &&
        { [ ! -d "$work/glibc" ] || prepare "$work"; } && mv -- "$work/.intact" "$work/.whole"
}

# A copy of the program that uses the C library which came along. Its last blocks (bundler/freeze/elf.py) say where that
# is, by full paths, so it holds for one place only: where a cache is moved or shared, each place has a copy of its own.
# Hosts with a C library that will do make one, too: others may use the same cache.
prepare() {   # in the folder $1, which is $core or will be; a hidden part of it is renamed when it is whole
    look_at "$1/$program"
    prepared=$program.$launch
    head -c "$size" "$1/$program" >"$1/.$prepared" && chmod 755 "$1/.$prepared" &&
        write_block $((size / 4096 - 3)) "$core/glibc:$core/_internal" "$1/.$prepared" &&
        write_block $((size / 4096 - 1)) "$core/glibc/${loader##*/}" "$1/.$prepared" &&
        mv -- "$1/.$prepared" "$1/$prepared" && printf '%s\n' "$core" >"$1/.place.$launch"
}

write_block() {   # from the block $1 on, the text $2 into the file $3
    printf '%s\0' "$2" | dd of="$3" bs=4096 seek="$1" conv=notrunc 2>/dev/null
}

find_prepared() {
    for place in "$core"/.place.*; do
        { IFS= read -r lies <"$place"; } 2>/dev/null && [ "$lies" = "$core" ] || continue
        prepared=$program${place#"$core/.place"}
        [ ! -e "$core/$prepared" ] || return 0
    done
    return 1
}

prepare_in_place() {
    name_this_launch
    while [ -e "$core/$program.$launch" ]; do launch=$launch+; done   # containers have the same names and numbers
    why=$( (umask 022 && export LC_ALL=C && prepare "$core") 2>&1) ||
        die "cannot prepare the program in $core for this system's C library ($(reason "$why")). Set LOAF_CACHE_DIR to a folder of your own"
    prepared=$program.$launch   # what a subshell sets is lost
}

name_this_launch() {
    host=$(uname -n)
    launch=$host.$$
}

core_bytes() {   # dd seeks to whole blocks, so this costs the same wherever the program lies
    dd if="$self" bs=65536 skip="$core_block" count=$((core_size / 65536 + 1)) 2>/dev/null | head -c "$core_size"
}

# Folders of launches on this host that were killed while unpacking. One with our own number is not ours yet:
# in a container that is started again, everything has the number it had before.
remove_leftovers() {
    for left in "$cache"/.core-*."$host".*; do
        [ -d "$left" ] || continue
        process=${left##*.}
        if [ "$process" = $$ ] || ! lives "$process"; then rm -rf -- "$left"; fi
    done
}

lives() {   # one that was killed can be signalled until its parent asks; the first process of a container may never ask
    kill -0 "$1" 2>/dev/null || return 1
    { IFS= read -r state <"/proc/$1/stat"; } 2>/dev/null || return 0
    case ${state##*") "} in Z*) return 1 ;; esac
}

# What `ls` tells of the file $1: permissions, owner, size. (`wc -c` reads all of it under busybox.)
look_at() {
    line=$(LC_ALL=C LS_BLOCK_SIZE=1 ls -dnL -- "$1" 2>&1) || die "cannot look at $1 with ls ($(reason "$line"))"
    set -f
    # shellcheck disable=SC2086
    set -- $line
    set +f
    permissions=$1 owner=$3 size=$5
}

reason() {   # what a command complained of, without its and the file's name: the first line, or what is behind it
    case $1 in *"No space left on device"*) printf 'No space left on device' && return ;; esac
    line=${1%%"
"*}
    printf '%s' "${line##*: }"
}

of() {   # "1.2 of 4.1 GB" for two sizes in bytes, "4.1 GB" for one
    last=${2:-$1}
    if [ "$last" -ge 1000000000 ]; then unit=GB step=100000000; else unit=MB step=100000; fi
    if [ $# -eq 2 ] && [ $(($2 - $1)) -lt "$step" ]; then printf '%s of %s bytes' "$1" "$2" && return; fi
    [ $# -eq 1 ] || printf '%s of ' "$(($1 / step / 10)).$(($1 / step % 10))"
    printf '%s %s' "$((last / step / 10)).$((last / step % 10))" "$unit"
}

main "$@"
exit 1
}

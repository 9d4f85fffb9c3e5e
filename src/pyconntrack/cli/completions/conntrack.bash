# Completions of conntrack(8) for bash; `conntrack --completions bash' prints this file.

_conntrack() {
    local IFS=$'\n' answer
    mapfile -t answer < <("${COMP_WORDS[0]}" --completions bash \
        "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
    COMPREPLY=("${answer[@]:1}")
    case ${answer[0]} in
        list* | part*) compopt -o nospace ;;
        file*) compopt -o default ;;
    esac
}

complete -F _conntrack conntrack pyconntrack

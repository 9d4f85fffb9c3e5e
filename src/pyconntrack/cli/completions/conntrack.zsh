#compdef conntrack pyconntrack
# Completions of conntrack(8) for zsh; `conntrack --completions zsh' prints this file.

_conntrack() {
    local -a answer words_and_meanings
    local kind stays line word
    answer=("${(@f)$("${(Q)words[1]}" --completions zsh "${(@Q)words[2,CURRENT-1]}" \
        "$PREFIX" 2>/dev/null)}")
    kind=${answer[1]% *} stays=${answer[1]#* }
    [[ $kind == (word|list|part|file) ]] || return 1
    (( stays == 0 )) || compset -p $stays
    if [[ $kind == file ]]; then
        _files
        return
    fi
    for line in "${(@)answer[2,-1]}"; do
        word=${${line%%$'\t'*}//:/\\:}
        words_and_meanings+=("$word:${line#*$'\t'}")
    done
    case $kind in
        list) _describe -V word words_and_meanings -q -S , ;;
        part) _describe -V word words_and_meanings -S '' ;;
        *) _describe -V word words_and_meanings ;;
    esac
}

if [[ $funcstack[1] == _conntrack ]]; then
    _conntrack "$@"
else
    compdef _conntrack conntrack pyconntrack
fi

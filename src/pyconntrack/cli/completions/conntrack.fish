# Completions of conntrack(8) for fish; `conntrack --completions fish' prints this file.

function __conntrack_words
    set -l before (commandline -opc)
    set -l current (commandline -ct)
    set -l answer ($before[1] --completions fish $before[2..-1] "$current" 2>/dev/null)
    set -l kind (string split ' ' -- $answer[1])
    if test "$kind[1]" = file
        set -l fixed (string sub -l $kind[2] -- "$current")
        set -l begin (math $kind[2] + 1)
        for path in (__fish_complete_path (string sub -s $begin -- "$current"))
            echo "$fixed$path"
        end
    else
        string join \n -- $answer[2..-1]
    end
end

complete -c conntrack -f -k -a '(__conntrack_words)'
complete -c pyconntrack -w conntrack

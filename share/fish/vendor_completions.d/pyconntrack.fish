# The second name of the command; fish looks for completions by the name.
complete -c pyconntrack -w conntrack

#!/usr/bin/env bash
# A short tour of conntrack on its own flows, in its own network namespace.
# The system's connections are neither read nor changed.  Run it with `make demo`.
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
PATH=$PATH:/usr/sbin:/sbin
export LC_ALL=C.UTF-8 PYTHONDONTWRITEBYTECODE=1
CONNTRACK=${CONNTRACK:-$PWD/.venv/bin/conntrack}

if [ -t 1 ]; then bold=$'\e[1m' dim=$'\e[2m' plain=$'\e[0m'; else bold='' dim='' plain=''; fi
title() { printf '\n%s== %s%s\n' "$bold" "$1" "$plain"; }
note() { printf '%s   %s%s\n' "$dim" "$1" "$plain"; }
give_up() { printf '\nThe demo cannot run here: %s\n' "$1" >&2; exit 1; }

# -- a new namespace: re-run inside it ------------------------------------------------

if [ -z "${DEMO_INSIDE:-}" ]; then
    [ -x "$CONNTRACK" ] || give_up "$CONNTRACK is not there yet. \`make demo\` installs it."
    command -v unshare >/dev/null || give_up "the program unshare is missing (Debian: apt install util-linux)."
    for how in -n -rn; do
        if unshare $how true 2>/dev/null; then
            DEMO_INSIDE=1 exec unshare $how bash "$PWD/scripts/demo.sh"
        fi
    done
    if [ "$(id -u)" = 0 ]; then
        give_up "this system lets nobody make a network namespace (a container? start it with --privileged)."
    fi
    give_up "this system does not let ordinary users make a network namespace. Try: sudo make demo"
fi

work=$(mktemp -d) || exit 1
children=()
clean_up() {
    for pid in "${children[@]}"; do kill "$pid" 2>/dev/null; done
    for pid in "${children[@]}"; do wait "$pid" 2>/dev/null; done
    rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# -- small helpers ---------------------------------------------------------------------

ct() { "$CONNTRACK" "$@"; }
# Show a command, as it would be typed, then run it.
show() {
    local word line=''
    for word; do
        case $word in *[!A-Za-z0-9_.,:/=-]*) word="'$word'" ;; esac
        line+=" $word"
    done
    printf '\n%s$ conntrack%s%s\n' "$bold" "$line" "$plain"
    ct "$@" 2>&1
}
# poll 'condition': true when it holds, false after ten seconds
poll() {
    local end=$((SECONDS + 10))
    until eval "$1"; do
        [ $SECONDS -lt $end ] || return 1
        read -r -t 0.05 <> <(:) || :
    done
}
have() { command -v "$1" >/dev/null; }
# The event sockets of this namespace: protocol 12 with a group joined.
listening() { awk '$2 == 12 && $4 !~ /^0+$/ { n++ } END { exit !n }' /proc/net/netlink; }

python=$(dirname "$CONNTRACK")/python
[ -x "$python" ] || python=$(command -v python3) || give_up "python3 is missing."

problem=$(ct -L 2>&1 >/dev/null) ||
    give_up "the kernel's connection tracking does not answer: ${problem##*$'\n'}"

# -- the peer: a second namespace with small servers in it ------------------------------

# One program, two parts: `serve` answers TCP and UDP; `talk` obeys lines on its input.
cat >"$work/traffic.py" <<'PY'
import selectors, socket, sys, threading, time

def serve(address):
    loop = selectors.DefaultSelector()
    tcp = socket.create_server((address, 80))
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind((address, 53))
    loop.register(tcp, selectors.EVENT_READ)
    loop.register(udp, selectors.EVENT_READ)
    print("ready", flush=True)
    while True:
        for key, _ in loop.select():
            sock = key.fileobj
            if sock is tcp:
                loop.register(sock.accept()[0], selectors.EVENT_READ)
            elif sock is udp:
                data, sender = sock.recvfrom(2048)
                sock.sendto(data, sender)
            else:
                data = sock.recv(2048)
                if data:
                    sock.sendall(data)
                else:
                    loop.unregister(sock)
                    sock.close()

def talk(address):
    open_ones, received = {}, {}

    def transfer(name):  # for ever, a kilobyte there and back
        while True:
            open_ones[name].sendall(bytes(1000))
            received[name] += len(open_ones[name].recv(2048))
            time.sleep(0.001)

    for line in sys.stdin:
        what, name, *to = line.split()
        if what == "tcp":
            address_port = (to[0], int(to[1])) if to else (address, 80)
            sock = socket.create_connection(address_port, timeout=10, source_address=("", int(name)))
            sock.sendall(b"hello")
            sock.recv(100)
            sock.settimeout(None)
            open_ones[name] = sock
        elif what == "udp":
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                sock.settimeout(10)
                sock.bind(("", int(name)))
                sock.sendto(b"hello", (address, 53))
                sock.recv(100)
        elif what == "transfer":
            received[name] = 0
            threading.Thread(target=transfer, args=[name], daemon=True).start()
        elif what == "received":
            print(received[name], flush=True)
            continue
        elif what == "close":
            sock = open_ones.pop(name)
            sock.shutdown(socket.SHUT_WR)
            sock.recv(100)
            sock.close()
        print("done", flush=True)

(serve if sys.argv[1] == "serve" else talk)(sys.argv[2])
PY

set_up_network() {
    ip link set lo up &&
        ip link add demo0 type veth peer name demo0 netns "$1" &&
        ip addr add 192.0.2.1/24 dev demo0 && ip link set demo0 up &&
        nsenter -t "$1" -n sh -c 'ip link set lo up; ip addr add 192.0.2.2/24 dev demo0; ip link set demo0 up' &&
        ip route add 198.51.100.0/24 via 192.0.2.2
}
# A firewall as many are: what belongs to no connection passes only if it begins one.
firewall() {
    nft -f - <<'NFT'
table inet demo {
  chain out {
    type filter hook output priority 0
    tcp flags & (syn | ack) != syn ct state != established drop
  }
  chain in {
    type filter hook input priority 0
    tcp flags & (syn | ack) != syn ct state != established drop
  }
  chain translation {
    type nat hook output priority -100
    ip daddr 198.51.100.7 tcp dport 443 dnat ip to 192.0.2.2:80
  }
}
NFT
}
make_peer() {
    unshare -n sh -c 'echo > "$1"; read -r line < "$2"; exec "$3" "$4" serve 192.0.2.2' \
        sh "$work/there" "$work/go" "$python" "$work/traffic.py" >"$work/serving" 2>/dev/null &
    peer=$!
    children+=("$peer")
    poll '[ -e "$work/there" ]' && set_up_network "$peer" && echo go >"$work/go" &&
        poll '[ -s "$work/serving" ]'
}
# say 'tcp 40001': have the talker do it, and wait until it has.
ask() { echo "$1" >&"${TALK[1]}" && read -r -t 15 answer <&"${TALK[0]}"; }
say() { ask "$1" && [ "$answer" = done ]; }
# Whether the transfer moves: in a tenth of a second, dozens of times a kilobyte goes and comes.
moves() {
    ask 'received 40001' && local before=$answer
    read -r -t 0.1 <> <(:)
    ask 'received 40001' && [ "$answer" -gt "$before" ]
}

real_traffic() {
    { echo 1 >/proc/sys/net/netfilter/nf_conntrack_acct; } 2>/dev/null  # of this namespace
    have ip && have nsenter || { why="the program ip is missing (Debian: apt install iproute2)"; return 1; }
    have nft || { why="the program nft is missing (Debian: apt install nftables)"; return 1; }
    why="the kernel would not track flows in this namespace"
    mkfifo "$work/go" && make_peer && firewall || return 1
    coproc TALK { exec "$python" "$work/traffic.py" talk 192.0.2.2 2>/dev/null; }
    children+=("$TALK_PID")
    say 'tcp 40001' && say 'tcp 40002 198.51.100.7 443' && say 'transfer 40001' || return 1
    for port in 50001 50002 50003; do say "udp $port" || return 1; done
    if have ping; then ping -c 1 -W 5 192.0.2.2 >/dev/null 2>&1; fi
    [ "$(ct -C 2>/dev/null)" -ge 3 ] 2>/dev/null
}
enter() { ct "$@" >/dev/null 2>&1 || give_up "the kernel refused \`conntrack $*\`: $(ct "$@" 2>&1 | tail -n 1)"; }
own_entries() {
    ct -F >/dev/null 2>&1
    for port in 40001 40002; do
        enter -I -p tcp -s 192.0.2.1 -d 192.0.2.2 --sport $port --dport 80 --state ESTABLISHED -t 3600 -u ASSURED,SEEN_REPLY
    done
    enter -I -p udp -s 192.0.2.1 -d 192.0.2.2 --sport 50001 --dport 53 -t 60
    enter -I -p icmp -s 192.0.2.1 -d 192.0.2.2 --icmp-type 8 --icmp-code 0 --icmp-id 7 -t 60
}

printf '%sA tour of conntrack%s, in a network namespace that exists only for it.\n' "$bold" "$plain"
if real_traffic 2>"$work/why"; then
    real=1
    note "192.0.2.1 (here) talks to 192.0.2.2 (a second namespace): a transfer that goes on, a"
    note "connection through a translated address, questions$(have ping && echo ', a ping'). All packets are real."
else
    real=
    note "Real traffic is not possible here: $why."
    note "So the entries below were put into the kernel's table with \`conntrack -I\`."
    own_entries
fi

title "What is the kernel tracking?"
show -L

title "The same for people"
show -L -o table

title "How many of what?"
show -L --count-by proto,state --sum bytes

title "Ask in words, and see what the kernel checks of them"
show --explain -L --where 'proto == udp and dst in 192.0.2.0/24 and not assured'

title "What would a delete do?"
show -D -p udp --dport 53 --dry-run

title "Delete a live connection, and bring it back"
[ -z "$real" ] || { moves && note "A transfer runs through 192.0.2.1:40001. The firewall knows it by its entry alone."; }
cd "$work" || exit 1  # for the file
show -D -p tcp --sport 40001 --undo way-back -o table
if [ -n "$real" ]; then
    poll '! moves' || give_up "the transfer goes on without its entry."
    note "The transfer stands still: the firewall drops its packets."
fi
show -R way-back
if [ -n "$real" ]; then
    poll moves || give_up "the transfer does not go on."
    note "The transfer goes on, as if nothing had been."
fi
show -L -p tcp --sport 40001 -o table
cd "$OLDPWD" || exit 1

title "Watch a connection come and go"
note "Each line is one event, printed as it happens."
"$CONNTRACK" -E -p tcp >"$work/events" 2>/dev/null &
watcher=$!
children+=("$watcher")
poll listening || give_up "conntrack -E did not start to listen."
this=(-p tcp -s 192.0.2.1 -d 192.0.2.2 --sport 40003 --dport 80)
if [ -n "$real" ]; then
    say 'tcp 40003' && say 'close 40003'
    last=TIME_WAIT
else
    enter -I "${this[@]}" --state SYN_SENT -t 60
    enter -U "${this[@]}" --state ESTABLISHED -t 3600 -u SEEN_REPLY,ASSURED
    last=ESTABLISHED
fi
poll 'grep -q "UPDATE.* $last .*sport=40003" "$work/events"'
# The kernel would keep the closed connection for two minutes: do not wait.
ct -D "${this[@]}" >/dev/null 2>&1
poll 'grep -q "DESTROY.*sport=40003" "$work/events"' || give_up "no event arrived from the kernel."
kill "$watcher" 2>/dev/null
wait "$watcher" 2>/dev/null
printf '\n%s$ conntrack -E -p tcp%s\n' "$bold" "$plain"
cat "$work/events"

title "That was it."
note "The namespace and everything in it is gone now; your own connections were not touched."
note "To see those: sudo $( [ "$CONNTRACK" = "$PWD/.venv/bin/conntrack" ] && echo .venv/bin/conntrack || echo conntrack) -L"

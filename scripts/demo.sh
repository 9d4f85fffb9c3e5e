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
# Show a command, then run it.
show() { printf '\n%s$ conntrack %s%s\n' "$bold" "$*" "$plain"; ct "$@" 2>&1; }
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
import selectors, socket, sys

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
    open_ones = {}
    for line in sys.stdin:
        what, name = line.split()
        if what == "tcp":
            sock = socket.create_connection((address, 80), timeout=10, source_address=("", int(name)))
            sock.sendall(b"hello")
            sock.recv(100)
            open_ones[name] = sock
        elif what == "udp":
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                sock.settimeout(10)
                sock.bind(("", int(name)))
                sock.sendto(b"hello", (address, 53))
                sock.recv(100)
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
        nsenter -t "$1" -n sh -c 'ip link set lo up; ip addr add 192.0.2.2/24 dev demo0; ip link set demo0 up'
}
switch_tracking_on() {
    if have nft && nft -f - <<'NFT'
table inet demo {
  chain out {
    type filter hook output priority 0
    ct state new,established accept
  }
}
NFT
    then return; fi 2>/dev/null
    have iptables && iptables -A OUTPUT -m conntrack --ctstate NEW -j ACCEPT 2>/dev/null
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
say() {
    echo "$1" >&"${TALK[1]}" && read -r -t 15 answer <&"${TALK[0]}" && [ "$answer" = done ]
}

real_traffic() {
    have ip && have nsenter || { why="the program ip is missing (Debian: apt install iproute2)"; return 1; }
    have nft || have iptables || { why="neither nft nor iptables is there to switch tracking on (Debian: apt install nftables)"; return 1; }
    why="the kernel would not track flows in this namespace"
    mkfifo "$work/go" && make_peer && switch_tracking_on || return 1
    coproc TALK { exec "$python" "$work/traffic.py" talk 192.0.2.2 2>/dev/null; }
    children+=("$TALK_PID")
    say 'tcp 40001' && say 'tcp 40002' && say 'udp 50001' || return 1
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
    note "192.0.2.1 (here) talks to 192.0.2.2 (a second namespace): two web connections,"
    note "one DNS-like question$(have ping && echo ', one ping'). All packets are real; the kernel tracks them."
else
    real=
    note "Real traffic is not possible here: $why."
    note "So the entries below were put into the kernel's table with \`conntrack -I\`."
    own_entries
fi

title "What is the kernel tracking?"
show -L

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

title "Look one connection up"
show -G -p tcp -s 192.0.2.1 -d 192.0.2.2 --sport 40001 --dport 80

title "Make the kernel forget one"
show -D -p tcp --sport 40002
show -C

title "The same table, for programs"
if [ "$CONNTRACK" = "$PWD/.venv/bin/conntrack" ] || ct -L -o json >/dev/null 2>&1; then
    show -L -p tcp -o json
else
    note "(this conntrack cannot write JSON)"
fi

title "That was it."
note "The namespace and everything in it is gone now; your own connections were not touched."
note "To see those: sudo $( [ "$CONNTRACK" = "$PWD/.venv/bin/conntrack" ] && echo .venv/bin/conntrack || echo conntrack) -L"

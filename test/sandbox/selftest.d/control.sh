# Log, counters, settings, latency, connections, speed of sleepers.

ctl reset
post '{"patient":{"id":3}}' -A agent/1
get 'order?page=2&size=3' -H 'Accept-Encoding: gzip'
get order/7 -H 'Impilo-API-Key: x'
is 'text log' "$(ctl log)" 'POST /api/v3/order {"patient":{"id":3}}
GET /api/v3/order?page=2&size=3
GET /api/v3/order/7'
is 'sorted log' "$(ctl log sort | tail -n 1)" 'POST /api/v3/order {"patient":{"id":3}}'
log=$(ctl log-json)
has 'user agent' "$log" '"User-Agent":"agent/1"'
has 'accept-encoding' "$log" '"Accept-Encoding":"gzip"'
has 'status' "$log" '"status":400'
has 'body' "$log" '"body":"{\"patient\":{\"id\":3}}"'
lacks 'no key' "$log" 'sandbox-key'
has 'counts' "$(ctl count)" '{"requests":3,"connections":3,"in_flight":0,"most_in_flight":1,"pages":1,"singles":1,"posts":1,'
is 'one count' "$(ctl count singles)" 1
ctl log-reset
is 'log reset' "$(ctl log)$(ctl count requests)" 0
is 'changes print nothing' "$(ctl reset; ctl config '{}'; ctl nofault; ctl log-reset; ctl put '{}'; ctl only 1)" ''
ctl config '{"nonsense":1}' 2>"$tmp/err" && not_ok 'bad setting taken' || ok
has 'setting named' "$(cat "$tmp/err")" 'nonsense'
ctl config '{"order":"sideways"}' 2>/dev/null && not_ok 'bad choice taken' || ok
ctl config 'x' 2>/dev/null && not_ok 'bad JSON taken' || ok
IMPILO_SANDBOX=http://127.0.0.1:1 ./ctl count 2>/dev/null && not_ok 'no server' || ok
ctl reset
has 'settings shown' "$(ctl settings)" '"latency_ms":0'

# keep-alive: one connection for many requests
curl "${curl_opts[@]}" -H "$key" "$S/api/v3/order/[1-20]" >/dev/null
is 'keep-alive' "$(ctl count connections) $(ctl count requests)" '1 20'

# sleepers: 200 requests of 500 ms at once, on 4 threads
ctl reset
ctl config '{"latency_ms":500}'
begin=$(now_ms)
curl "${curl_opts[@]}" -Z --parallel-max 200 --parallel-immediate -H "$key" "$S/api/v3/order/[1-200]" -o /dev/null
between 'overlapping latency' $(($(now_ms) - begin)) 500 5000
between 'in flight together' "$(ctl count most_in_flight)" 100 200
is 'no request remains in flight' "$(ctl count in_flight)" 0
ctl config '{"latency_ms":300,"max_in_flight":2}'
codes=$(curl "${curl_opts[@]}" -Z --parallel-max 6 --parallel-immediate -H "$key" -w '%{http_code}\n' -o /dev/null "$S/api/v3/order/[1-6]" | sort | uniq -c | tr -s ' ' | paste -sd' ')
has 'too many in flight' "$codes" ' 429'
ctl reset
curl "${curl_opts[@]}" -o "$tmp/body" "$S/_sandbox/nothing"
has 'unknown command' "$(cat "$tmp/body")" 'no such control command'

# a slow client of a large page delays no other
curl "${curl_opts[@]}" --limit-rate 1000 --max-time 30 -H "$key" -o /dev/null "$S/api/v3/order?size=250" 2>/dev/null &
slow=$!
begin=$(now_ms)
for ((i = 0; i < 20; i++)); do get order/1; done
between 'others are served' $(($(now_ms) - begin)) 0 20000
kill "$slow" 2>/dev/null
wait $!

# ends on SIGTERM
"$server" >"$tmp/term.url" &
pid=$!
until [ -s "$tmp/term.url" ]; do sleep 0.05; done
kill -TERM $pid
wait $pid
is 'SIGTERM ends it' $? 0
# ends with its parent
bash -c "'$server' --die-with-parent >'$tmp/child.url' & echo \$! >'$tmp/child.pid'; until [ -s '$tmp/child.url' ]; do sleep 0.05; done"
for ((i = 0; i < 50; i++)); do
	# gone, or dead and not yet waited for
	state=$(sed 's/.*) \(.\).*/\1/' "/proc/$(cat "$tmp/child.pid")/stat" 2>/dev/null)
	[[ -$state == -[!Z]* ]] || break
	sleep 0.1
done
has 'ends with its parent' '-Z-' "-$state"

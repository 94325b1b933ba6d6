# Raw orders in the list.

ctl reset
ctl only '{"id":5,"a":1}' '{"id":null}' '{}'
get order
is 'ctl only replaces all orders' "$body" '{"content":[{"id":5,"a":1},{"id":null},{}],"page":1,"size":15,"total":3,"first":true,"last":true}'
get order/5
is 'found by id' "$body" '{"id":5,"a":1}'
get order/1
is 'the other orders are removed' "$status" 404
ctl put '{"id":5,"b":2}' 'no JSON'
get order
has 'ctl put appends any bytes' "$body" '{},{"id":5,"b":2},no JSON]'
get order/5
is 'the first of two' "$body" '{"id":5,"a":1}'
ctl delete 5
get order/5
is 'the second of two remains' "$body" '{"id":5,"b":2}'
ctl delete 4711 2>"$tmp/err" && not_ok 'deleted what is not' || ok
has 'the error has the reason' "$(cat "$tmp/err")" 'no order has this id'
ctl front '{"id":4}'
get order
has 'at the front' "$body" '{"content":[{"id":4},'
ctl replace 4 '{"id":4,"new":true}'
get order
has 'replaced in its place' "$body" '{"content":[{"id":4,"new":true},'
get order/4
is 'replaced' "$body" '{"id":4,"new":true}'
ctl only
ctl put64 "$(printf '{"id":9,"x":"\xff\\u0000"}' | base64 -w0)"
curl "${curl_opts[@]}" -H "$key" -o "$tmp/body" "$S/api/v3/order/9"
is 'base64' "$(od -An -c -w64 <"$tmp/body" | tr -d ' ')" '{"id":9,"x":"377\u0000"}'
ctl put64 '***' 2>/dev/null && not_ok 'bad base64 taken' || ok
ctl only
get order
is 'empty' "$body" '{"content":[],"page":1,"size":15,"total":0,"first":true,"last":true}'
IMPILO_KEY=other-key ctl put '{"id":1}'
get order
has 'the first account does not have an order of the other' "$body" '"total":0'
is 'the other account has the order' "$(IMPILO_KEY=other-key ctl dump | tail -n 1)" '{"id":1}'
ctl generate 2
is 'generated' "$(ctl dump | wc -l)" 2
ctl reset
is 'reset' "$(ctl dump | cksum)" "$(cksum <"$tmp/dump")"

# orders kept over a restart, with their ids and bytes, and ids that go on
start K --orders 30 --state "$tmp/state"
curl "${curl_opts[@]}" -H "$key" -H 'Content-Type: application/json' -d '{"site":{"id":1},"orderItems":[{"item":{"id":1000},"count":1}],"externalOrderIds":["kept"]}' "$K/api/v3/order" >/dev/null
IMPILO_SANDBOX=$K ./ctl delete 7
IMPILO_SANDBOX=$K ./ctl put $'{"id":77,\n"a":1}'
IMPILO_SANDBOX=$K IMPILO_KEY=other-key ./ctl delete 5000000001
before=$(IMPILO_SANDBOX=$K ./ctl dump)
kill "${pids[-1]}"
wait "${pids[-1]}" 2>/dev/null
start K --orders 30 --state "$tmp/state"
is 'orders are kept' "$(IMPILO_SANDBOX=$K ./ctl dump)" "$before"
is 'the created order is kept' "$(IMPILO_SANDBOX=$K ./ctl dump | grep -c '"kept"')" 1
is 'the orders of the other account are kept' "$(IMPILO_SANDBOX=$K IMPILO_KEY=other-key ./ctl dump | wc -l)" 39
body=$(curl "${curl_opts[@]}" -H "$key" -H 'Content-Type: application/json' -d '{"site":{"id":1},"orderItems":[{"item":{"id":1000},"count":1}]}' "$K/api/v3/order")
has 'new ids follow the kept ones' "$body" '{"id":32,'
body=$(curl "${curl_opts[@]}" -H "$key" "$K/api/v3/order/31")
has 'a kept order is fetched by its id' "$body" '"kept"'

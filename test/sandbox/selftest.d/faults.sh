# Faults, rule by rule.

ctl reset
line='"patient":{"id":1},"orderItems":[{"item":{"id":1000}}]'
# fault RULES..., then what is asked
fault() { ctl fault "$@" || not_ok "fault $*"; }

fault '{"method":"GET","path":"order","page":2,"skip":1,"times":1,"do":{"status":503,"retry_after":"7","body":"sorry","content_type":"text/plain"}}'
get 'order?page=1'
is 'another page' "$status" 200
get 'order?page=2'
is 'skipped once' "$status" 200
get order/2
is 'another path' "$status" 200
get 'order?page=2'
is 'status' "$status $body" '503 sorry'
has 'Retry-After' "$head" 'Retry-After: 7'
has 'content type' "$head" 'Content-Type: text/plain'
get 'order?page=2'
is 'a rule that is used up does not apply' "$status" 200
fault '{"path":"order/*","do":{"status":500}}'
get order/2
is 'single orders' "$status" 500
get order
is 'a rule for single orders does not apply to the list' "$status" 200
fault '{"path":"order/(3|4)$","do":{"status":500}}'
get order/4
is 'a regular expression' "$status" 500
get order/5
is 'a regular expression that does not match' "$status" 200
fault '{"key":"other-key","do":{"status":500}}'
get order/5
is 'another key' "$status" 200
fault '{"probability":0.5,"do":{"status":500}}'
n=0
for ((i = 0; i < 40; i++)); do get order/1; [ "$status" = 500 ] && n=$((n + 1)); done
between 'probability' "$n" 8 32
ctl nofault
get order/1
is 'no fault' "$status" 200
ctl fault '{"do":{"statsu":500}}' 2>"$tmp/err" && not_ok 'bad fault taken' || ok
has 'the error names the unknown member' "$(cat "$tmp/err")" 'statsu'
ctl fault '{"paths":"order","do":{}}' 2>/dev/null && not_ok 'bad rule taken' || ok

# connections
ctl log-reset
fault '{"method":"POST","do":{"reset":"before"}}'
post "{$line}"
is 'reset before' "$rc" 56
is 'nothing created' "$(ctl count created)" 0
fault '{"method":"POST","do":{"reset":"after"}}'
post "{$line}"
is 'reset after' "$rc" 56
is 'created' "$(ctl count created)" 1
fault '{"method":"POST","do":{"close":true}}'
post "{$line}"
is 'closed without an answer' "$rc" 52
is 'nothing created by that' "$(ctl count created)" 1
fault '{"method":"POST","do":{"status":500}}'
post "{$line}"
is '500, nothing created' "$status $(ctl count created)" '500 1'
fault '{"method":"POST","body":"ext-7","do":{"status":500,"processed":true,"appear_after_ms":5000}}'
post "{$line}"
is 'another body' "$status" 201
post "{$line,\"externalOrderIds\":[\"ext-7\"]}"
is '500, created' "$status $(ctl count created)" '500 3'
lacks 'does not show yet' "$(ctl dump)" '"ext-7"'
has 'an order that appears later exists' "$(ctl dump all)" '"ext-7"'
sleep 5.2
has 'an order appears later' "$(ctl dump)" '"ext-7"'
fault '{"method":"POST","do":{"reset":"after","appear_after_ms":5000}}'
post "{$line,\"externalOrderIds\":[\"late\"]}"
lacks 'reset, does not show yet' "$(ctl dump)" '"late"'
sleep 5.2
has 'an order appears after a reset' "$(ctl dump)" '"late"'
fault '{"do":{"hang":true}}'
get order/1 --max-time 0.4
is 'hangs' "$rc" 28
fault '{"method":"POST","do":{"hang":true,"processed":true}}'
post "{$line}" --max-time 0.4
is 'hangs, created' "$rc $(ctl count created)" '28 5'
ctl nofault
ctl config '{"latency_ms":400}'
post "{$line}" --max-time 0.2
is 'a slow POST given up is created' "$rc $(ctl count created)" '28 6'
ctl config '{"latency_ms":0}'

# bodies
get order/1
whole=$body
fault '{"do":{"cut_body":100}}'
get order/1
is 'cut' "$rc ${#body}" '18 100'
has 'the length promises more' "$head" "Content-Length: $(printf %s "$whole" | wc -c)"
fault '{"do":{"chunked_cut":100}}'
get order/1
is 'cut in chunks' "$rc ${#body}" '18 100'
has 'in chunks' "$head" 'Transfer-Encoding: chunked'
fault '{"do":{"chunked":true}}'
get order/1
is 'whole in chunks' "$rc $body" "0 $whole"
fault '{"do":{"raw":"{\"content\":"}}'
get order
is 'broken JSON' "$status $body" '200 {"content":'
fault '{"do":{"raw_base64":"/wD+"}}'
curl "${curl_opts[@]}" -H "$key" -o "$tmp/body" "$S/api/v3/order"
is 'any bytes' "$(od -An -tx1 <"$tmp/body")" ' ff 00 fe'
fault '{"do":{"raw":"{\"content\":","repeat":{"text":"[","count":1000000},"raw_end":"}"}}'
curl "${curl_opts[@]}" -H "$key" -o "$tmp/body" "$S/api/v3/order"
is 'a million brackets' "$(wc -c <"$tmp/body")" 1000012
fault '{"do":{"content_type":"text/html"}}'
get order/1
has 'another content type' "$head" 'Content-Type: text/html'
is 'another content type: the same body' "$body" "$whole"
fault '{"do":{"drip":{"bytes":20,"every_ms":50},"raw":"0123456789012345678901234567890123456789x"}}'
begin=$(now_ms)
get order/1
is 'drips' "$body" 0123456789012345678901234567890123456789x
between 'slowly' $(($(now_ms) - begin)) 95 3000
for status_wanted in 301 302 307 308; do
	fault "{\"do\":{\"status\":$status_wanted,\"redirect\":\"http://127.0.0.2/x\"}}"
	get order/1
	is "redirect $status_wanted" "$status" "$status_wanted"
	has "its Location" "$head" 'Location: http://127.0.0.2/x'
done
fault '{"do":{"redirect":"http://127.0.0.2/x"}}'
get order/1
is 'redirect by default' "$status" 302
fault '{"do":{"endless":true}}'
size=$(curl -sS --noproxy '*' --max-time 2 -H "$key" "$S/api/v3/order" 2>/dev/null | head -c 20000000 | wc -c)
is 'endless' "$size" 20000000
fault '{"do":{"gzip_bomb":100}}'
curl "${curl_opts[@]}" -H "$key" -o "$tmp/body" -D "$tmp/head" "$S/api/v3/order"
has 'bomb' "$(cat "$tmp/head")" 'Content-Encoding: gzip'
between 'bomb is small' "$(wc -c <"$tmp/body")" 1000 1000000
is 'bomb unpacks' "$(gzip -dc <"$tmp/body" | wc -c)" $((100 * 1024 * 1024))
fault '{"do":{"header_bytes":90000}}'
get order/1
between 'large header' "${#head}" 90000 91000
is 'a huge header: the body is unchanged' "$body" "$whole"
fault '{"do":{"header_bytes":2000000}}'
get order/1
[ "$rc" -ne 0 ] && ok || not_ok 'header too large for curl'
fault '{"do":{"headers":{"X-Some":"thing"}}}'
get order/1
has 'any header' "$head" 'X-Some: thing'
fault '{"do":{"wire":"NONSENSE\r\n\r\n"}}'
get order/1
[ "$rc" -ne 0 ] && ok || not_ok 'no HTTP at all' "$status"
fault '{"do":{"wire":"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: application/json\r\n\r\n{}"}}'
get order/1
is 'wire: given bytes' "$rc $status $body" '0 200 {}'
fault '{"do":{"wire":"HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n","wire_loop":"abc"}}'
get order/1
is 'wire_loop: repeated bytes' "$rc ${#body} ${body:0:6}" '0 300000 abcabc'
fault '{"do":{"wire":"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}","wire_every_ms":10}}'
begin=$(now_ms)
get order/1
is 'wire_every_ms: one byte at a time' "$body" '{}'
between 'slowly' $(($(now_ms) - begin)) 350 5000
fault '{"do":{"delay_ms":300}}'
begin=$(now_ms)
get order/1
between 'delay' $(($(now_ms) - begin)) 300 3000
is 'the next response is correct' "$body" "$whole"
fault '{"do":{"connection_close":true}}'
get order/1
has 'closes' "$head" 'Connection: close'
fault '{"page":2,"do":{"envelope":{"total":5,"x":1},"omit":["last"],"null":["size"]}}'
get 'order?page=2&size=1'
is 'envelope members of one page' "$(envelope)" '"page":2,"size":null,"total":5,"first":false,"x":1}'
get 'order?page=1&size=1'
is 'another page is unchanged' "$(envelope)" '"page":1,"size":1,"total":1006,"first":true,"last":false}'
fault '{"path":"order","do":{"replace":[{"pointer":"/content/0/id","json":"1,\"id\":2"},{"pointer":"/content/1/patient/firstName","json":"\"\\u0000\""},{"pointer":"/content/1/site","remove":true},{"pointer":"/content/0/currentStatus","base64":"Iv8i"}]}}'
get 'order?size=2'
has 'a member twice' "$body" '{"id":1,"id":2,'
has 'an escape put in' "$body" '"firstName":"\u0000"'
LC_ALL=C grep -q '"currentStatus":"'$'\xff''"' <<<"$body" && ok || not_ok 'invalid UTF-8'
fault '{"path":"order/*","do":{"replace":{"pointer":"/emailLabel","json":"1e999"}}}'
get order/1
has 'a huge number' "$body" '"emailLabel":1e999'
ctl nofault

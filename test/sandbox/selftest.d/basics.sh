# Start, keys, paths, pages, single orders, generated contents.

start S --orders 1000
[[ $S =~ ^http://127\.0\.0\.1:[0-9]+$ ]] && ok || not_ok 'start-up line' "$S"
is 'one line on stdout' "$(wc -l <"$tmp/S.url")" 1

get order
is 'list status' "$status" 200
is 'default envelope' "$(envelope)" '"page":1,"size":15,"total":1000,"first":true,"last":false}'
is 'default page holds 15' "$(norders)" 15
has 'JSON content type' "$head" 'Content-Type: application/json'
has 'Date header' "$head" 'Date: '
get 'order?page=4&size=250'
is 'last page' "$(envelope)" '"page":4,"size":250,"total":1000,"first":false,"last":true}'
is 'last page holds 250' "$(norders)" 250
get 'order?page=2&size=9999'
is 'size is clamped' "$(envelope)" '"page":2,"size":250,"total":1000,"first":false,"last":false}'
get 'order?page=5&size=250'
is 'past the end' "$body" '{"content":[],"page":5,"size":250,"total":1000,"first":false,"last":true}'
for bad in page=0 page=x page= page=-1 size=0 size=x size=-3; do
	get "order?$bad"
	is "bad $bad" "$status" 400
done

get order/1
is 'single order' "$status" 200
has 'a single order has its id' "$body" '{"id":1,'
get order/9007199254741993
has 'id beyond 2^53' "$body" '{"id":9007199254741993,'
get order/1000
is 'unknown id' "$status" 404
has 'JSON error' "$body" '"message":"order not found"'
get order/abc
is 'invalid id' "$status" 400
get nothing
is 'unknown path' "$status" 404
get order/1/more
is 'path below an order' "$status" 404
get order -X PUT
is 'wrong method' "$status" 405
has 'Allow' "$head" 'Allow: GET, POST'
get order/1 -X DELETE
is 'wrong method on an order' "$status" 405

body=$(curl "${curl_opts[@]}" -w ' %{http_code}' "$S/api/v3/order")
is 'no key' "$body" '{"status":401,"message":"Unauthorized"} 401'
status=$(curl "${curl_opts[@]}" -o /dev/null -w '%{http_code}' -H 'Impilo-API-Key: wrong' "$S/api/v3/order")
is 'wrong key' "$status" 401
status=$(curl "${curl_opts[@]}" -o /dev/null -w '%{http_code}' -H 'Impilo-API-Key: forbidden-key' "$S/api/v3/order")
is 'forbidden key' "$status" 403
body=$(curl "${curl_opts[@]}" -H 'Impilo-API-Key: other-key' "$S/api/v3/order")
has 'other account' "$body" '"total":40'
has 'the other account has other ids' "$body" '{"content":[{"id":5000000001,'
status=$(curl "${curl_opts[@]}" -o /dev/null -w '%{http_code}' -H 'Impilo-API-Key: other-key' "$S/api/v3/order/1")
is 'the other account has no order of the first' "$status" 404

# the sums that generate.h promises
sum=0 count=0 rows=0
while read -r id; do sum=$((sum + id)) count=$((count + 1)); done < <(ctl dump | sed 's/^{"id":\([0-9]*\).*/\1/')
is 'count of orders' "$count" 1000
is 'sum of ids' "$sum" $((1000 * 1001 / 2 + 9007199254740993))
ctl dump >"$tmp/dump"
is 'orders shipped' "$(grep -c '"currentStatus":"shipped","order' "$tmp/dump")" 125
# "count" of orderItems stands in the first array of lines; kits come later
items=$(sed -n 's/.*"orderItems":\[\(.*\)\],"orderKits".*/\1/p' "$tmp/dump")
rows=$(grep -o '"count":' <<<"$items" | wc -l)
is 'rows of orderItems' "$rows" 1500
counts=$(grep -o '"count":[0-9]*' <<<"$items" | sed 's/.*://' | paste -sd+)
is 'sum of item counts' "$((counts))" 4500
has 'raw UTF-8' "$(cat "$tmp/dump")" '美咲'
has 'escaped letter' "$(cat "$tmp/dump")" '\u00e9'
has 'surrogate pair' "$(cat "$tmp/dump")" '\ud83d\ude00'
has 'escaped quote' "$(cat "$tmp/dump")" '\"Bob\"'
has 'escaped slash' "$(cat "$tmp/dump")" 'ext\/6\/0'
has 'escaped backslash' "$(cat "$tmp/dump")" 'Back\\slash'
has 'leading zeros' "$(cat "$tmp/dump")" '"sku":"00001'
has 'later members' "$(cat "$tmp/dump")" '"fulfilmentCenter"'
for member in externalOrderIds patient site currentStatus orderItems orderKits \
	orderEvents trackingNumbers devices packedKits shippingOption orderNotes \
	emailLabel returnDevices returnItems returnPackedKits externalIdentifier \
	firstName dateOfBirth phoneNumber archived address lineThree zipCode note \
	enrolled sex active model orderable manufacturer kitItems currentPatient \
	lastHealthCheck deviceIdentifiers deviceEvents disabledReadings createdBy; do
	has "member $member" "$(cat "$tmp/dump")" "\"$member\":"
done
size=$(wc -c <"$tmp/dump")
between 'natural size of an order' $((size / 1000)) 1500 2600

start T --orders 1000
is 'deterministic' "$(IMPILO_SANDBOX=$T ./ctl dump | cksum)" "$(cksum <"$tmp/dump")"
start T --orders 0
is 'no orders at all' "$(curl "${curl_opts[@]}" -H "$key" "$T/api/v3/order")" \
	'{"content":[],"page":1,"size":15,"total":0,"first":true,"last":true}'
start T --orders 3 --key another
is 'another key' "$(curl "${curl_opts[@]}" -o /dev/null -w '%{http_code}' -H 'Impilo-API-Key: another' "$T/api/v3/order")" 200

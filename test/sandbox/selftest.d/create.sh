# Creation: what is taken, what is refused and with which words.

ctl reset
post '{"patient":{"id":3},"orderItems":[{"item":{"id":1000},"count":2}],"externalOrderIds":["a-1"]}'
is 'created' "$status" 201
has 'the new id follows the last one' "$body" '{"id":1001,'
has 'external ids kept' "$body" '"externalOrderIds":["a-1"]'
has 'whole patient' "$body" '"externalIdentifier":"mrn-000003"'
has 'status' "$body" '"currentStatus":"created"'
has 'first event' "$body" "\"name\":\"orderCreated\",\"eventTimestamp\":\"$(date -u +%Y-)"
has 'Date header of a created order' "$head" 'Date: '
created=$body
get order/1001
is 'a created order can be fetched' "$body" "$created"
get 'order?page=5&size=250'
is 'a created order is in the list' "$body" "{\"content\":[$created],\"page\":5,\"size\":250,\"total\":1001,\"first\":false,\"last\":true}"
post '{"site":{"id":7},"orderKits":[{"kit":{"id":1001}}]}'
is 'site order, count left out' "$status" 201
has 'next id' "$body" '{"id":1002,'
has 'count is 1' "$body" '"count":1}],"orderEvents"'
post '{"patient":{"id":3},"orderItems":[{"item":{"id":1000},"count":2}],"externalOrderIds":["a-1"]}'
has 'a repeat is a second order' "$body" '{"id":1003,'
post '{"externalOrderIds":["xyz_123_0","xyz_123_1"],"patient":{"id":1234,"sex":"unknown"},"orderItems":[{"item":{"id":1000},"count":10}],"orderKits":[{"kit":{"id":1000},"count":10}]}'
is "the guide's sample" "$status" 201
post '{"patient":{"id":1},"returnItems":[{"item":{"id":1000},"count":1}],"shippingOption":"standard","orderNotes":[{"note":"x"}],"emailLabel":false}'
is 'return only' "$status" 201
is 'created counter' "$(ctl count created)" 5

# refused JSON MESSAGE
refused() {
	post "$1"
	is "refused: $1" "$status" 400
	has "its message: $1" "$body" "\"message\":\"$2\""
}
line='"orderItems":[{"item":{"id":1000}}]'
refused "{$line}" 'patient or site required'
refused '{"patient":{"id":1}}' 'Order must contain at least one of: orderItems, orderKits, returnItems, returnDevices, or returnPackedKits'
refused '{"patient":{"id":1},"orderItems":[]}' 'Order must contain at least one of: orderItems, orderKits, returnItems, returnDevices, or returnPackedKits'
refused "{\"patient\":{\"id\":1},\"site\":{\"id\":1},$line}" invalid_order
refused "{\"patient\":{\"id\":100001},$line}" patient_does_not_exist
refused "{\"site\":{\"id\":1001},$line}" 'Site 1001 not found'
refused '{"patient":{"id":1},"orderItems":[{"item":{"id":1850}}]}' insufficient_inventory
refused '{"patient":{"id":1},"orderItems":[{"item":{"id":1000},"count":1001}]}' insufficient_inventory
refused '{"patient":{"id":1},"orderItems":[{"item":{"id":1900}}]}' item_not_orderable
refused '{"patient":{"id":1},"orderItems":[{"item":{"id":1950}}]}' 'Order contains Items that are marked as non-orderable. Order cannot be placed.'
refused '{"patient":{"id":1},"orderItems":[{"item":{"id":5}}]}' invalid_order
refused '{"patient":{"id":1},"orderKits":[{"kit":{"id":1099}}]}' invalid_order
refused '{"patient":{"id":1},"orderKits":[{"kit":{"id":1050}},{"kit":{"id":1051}}]}' max_one_loaner_kit
refused '{"patient":{"id":1},"orderKits":[{"kit":{"id":1050},"count":2}]}' qty_over_one_loaner_kit
refused '{"patient":{"id":1},"orderKits":[{"kit":{"id":1050}}],"returnDevices":[{"id":3}],"emailLabel":true}' no_returns_with_loaner_kit
refused '{"site":{"id":1},"orderKits":[{"kit":{"id":1050}}]}' no_loaner_kit_to_site
refused '{"patient":{"id":1},"returnItems":[{"item":{"id":1000},"count":1}]}' 'shippingOption is required when emailLabel is false and return items are included'
refused '{"patient":{"id":1},"emailLabel":true,"returnDevices":[{"id":3}],"returnPackedKits":[{"kit":{"id":1},"devices":[{"id":3}]}]}' 'Device cannot be included both as a return device and in a packed kit'
for bad in '' 'x' '[]' '{"patient":{"id":1}' "{\"patient\":{\"id\":1},$line} x" \
	"{\"patient\":{\"id\":\"1\"},$line}" "{\"patient\":{\"id\":1,\"firstName\":\"x\"},$line}" \
	"{\"patient\":{\"id\":1},$line,\"currentStatus\":\"created\"}" \
	"{\"patient\":{\"id\":1},$line,\"id\":5}" "{\"patient\":{\"id\":1},$line,\"foo\":5}" \
	"{\"patient\":{\"id\":1},$line,\"externalOrderIds\":[1]}" \
	"{\"patient\":{\"id\":1},$line,\"shippingOption\":\"slow\"}" \
	"{\"patient\":{\"id\":1},$line,\"orderNotes\":[{\"note\":\"x\",\"createdAt\":\"y\"}]}" \
	"{\"patient\":{\"id\":1},$line,\"emailLabel\":\"yes\"}" \
	'{"patient":{"id":1},"orderItems":[{"item":{"id":1000,"name":"x"}}]}' \
	'{"patient":{"id":1},"orderItems":[{"item":{"id":1000},"count":0}]}' \
	'{"patient":{"id":1},"orderItems":[{"item":{"id":1000},"count":1.5}]}'; do
	refused "$bad" invalid_order
done
get order -H 'Content-Type: text/plain' -d '{}'
is 'another content type' "$status" 415
is 'refusals created nothing' "$(ctl count created)" 5

ctl config '{"patients":10}'
refused "{\"patient\":{\"id\":11},$line}" patient_does_not_exist
refused "{\"site\":{\"id\":1001},$line}" 'Site 1001 not found'
ctl config '{"patients":null,"create_events":false}'
post "{\"patient\":{\"id\":11},$line}"
has 'no events' "$body" '"orderEvents":[]'
ctl config '{"create_events":null,"appear_after_ms":2000}'
post "{\"patient\":{\"id\":11},$line}"
is 'created, to appear later' "$status" 201
id=${body#*:}
get "order/${id%%,*}"
is 'a late order does not exist yet' "$status" 404
sleep 2.2
get "order/${id%%,*}"
is 'a late order exists later' "$status" 200

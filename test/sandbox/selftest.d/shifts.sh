# Orders that shift while a client pages.

ids() { grep -o '{"id":[0-9]*,"e\|{"id":[0-9]*,"p' <<<"$body" | sed 's/[^0-9]//g' | paste -sd' '; }
ctl reset
ctl only
ctl generate 10
get 'order?size=100'
is 'an account of ten' "$(norders)" 10
ctl config '{"insert_every_n_pages":2,"insert_at":"front","insert_times":1}'
get 'order?page=1&size=2'
get 'order?page=2&size=2'
has 'nothing inserted yet' "$body" '"total":10'
get 'order?page=3&size=2'
has 'inserted' "$body" '"total":11'
has 'at the front: shifted' "$body" '{"content":[{"id":1004,'
get 'order?page=4&size=2'
get 'order?page=5&size=2'
has 'inserted only once' "$body" '"total":11'
ctl config '{"insert_every_n_pages":1,"insert_at":null,"insert_times":2,"insert_orders":20}'
get 'order?page=1&size=2'
get 'order?page=2&size=2'
has 'many at once' "$body" '"total":31'
get 'order?page=3&size=2'
has 'many at once, repeated' "$body" '"total":51'
ctl config '{"insert_every_n_pages":null,"insert_orders":null,"vanish":40}'
get 'order?page=1&size=2'
ctl config '{"vanish":null,"move":3,"move_times":1}'
get 'order?page=1&size=100'
before=$(first_id)
get 'order?page=1&size=100'
has 'moved, none lost' "$body" '"total":11'
[ "$(first_id)" != "$before" ] && ok || not_ok 'moved' "$before"
before=$(first_id)
get 'order?page=1&size=100'
is 'moved once' "$(first_id)" "$before"
ctl config '{"move":null,"vanish":4,"vanish_after":2}'
get 'order?size=2'
get 'order?size=2'
has 'not vanished yet' "$body" '"total":11'
get 'order?size=2'
has 'vanished' "$body" '"total":7'
get 'order?size=2'
has 'vanished once' "$body" '"total":7'
ctl config '{"vanish":null,"shrink_size_after":1,"shrink_size_to":3}'
get 'order?size=5'
has 'size before it shrinks' "$body" '"size":5'
get 'order?page=2&size=5'
has 'size shrunk' "$body" '"size":3'

# The page envelope: honest variants and lies.

ctl reset
# conf JSON, then the page asked for: sets body
conf() {
	ctl reset
	ctl config "$1"
	get "${2:-order?size=2}"
}
conf '{"page_base":0}' 'order?page=0&size=500'
is '0-based pages' "$(envelope)" '"page":0,"size":250,"total":1000,"first":true,"last":false}'
get order
has '0-based default' "$body" '"page":0,"size":15'
conf '{"max_size":7,"default_size":5}' 'order?size=10'
is 'smaller max_size' "$(norders)" 7
get order
is 'smaller default_size' "$(norders)" 5
conf '{"size_policy":"ignore"}' 'order?size=100'
is 'size ignored' "$(norders)" 15
conf '{"omit":["total","last"]}'
is 'members left out' "$(envelope)" '"page":1,"size":2,"first":true}'
conf '{"omit":["content"]}'
is 'no content' "$body" '{"page":1,"size":2,"total":1000,"first":true,"last":false}'
conf '{"null":["total","content"]}'
is 'members null' "$body" '{"content":null,"page":1,"size":2,"total":null,"first":true,"last":false}'
conf '{"total_offset":-3}'
has 'total off by some' "$body" '"total":997'
conf '{"total":"many"}'
has 'total is a string' "$body" '"total":"many"'
conf '{"last":"always_true","first":"always_false"}'
has 'first and last are wrong' "$body" '"first":false,"last":true'
conf '{"last":"always_false"}' 'order?page=9&size=250'
has 'never last' "$body" '"last":false'
conf '{"order":"newest"}' 'order?size=1'
is 'newest first' "$(first_id)" 9007199254741993
conf '{"ignore_page":true}' 'order?page=3&size=2'
is 'page ignored' "$(first_id) $(envelope)" '1 "page":1,"size":2,"total":1000,"first":true,"last":false}'
conf '{"past_end":"last_page"}' 'order?page=50&size=250'
has 'past the end: the last page' "$(envelope)" '"page":4,'
conf '{"past_end":"not_found"}' 'order?page=50&size=250'
is 'past the end: 404' "$status" 404
conf '{"past_end":"bad_request"}' 'order?page=50&size=250'
is 'past the end: 400' "$status" 400
conf '{"max_content":1}' 'order?size=10'
is 'content too short' "$(norders)" 1
has 'content too short: size is unchanged' "$body" '"size":10'
conf '{"envelope":{"page":1,"more":[1]}}' 'order?page=2&size=1'
has 'members replaced and added' "$body" '"page":1,"size":1,"total":1000,"first":false,"last":false,"more":[1]}'
conf '{"space":" \n\t"}' 'order?page=2000&size=1'
is 'white space' "$(tr -d ' \n\t' <<<"$body")" '{"content":[],"page":2000,"size":1,"total":1000,"first":false,"last":true}'
has 'the envelope contains white space' "$body" $': \n\t2000'
conf '{"gzip":true}' 'order?size=3'
lacks 'gzip not asked for' "$head" 'Content-Encoding'
plain=$body
get 'order?size=3' --compressed
has 'gzip' "$head" 'Content-Encoding: gzip'
is 'the same bytes' "$body" "$plain"
conf '{"gzip":false}' 'order?size=3'
get 'order?size=3' --compressed
lacks 'gzip is off' "$head" 'Content-Encoding'
conf '{"date_offset_s":-86400}'
has 'Date with an offset' "$head" "Date: $(LC_ALL=C date -u -d '-1 day' '+%a, %d %b')"
conf '{"date":false}'
lacks 'no Date' "$head" 'Date:'
conf '{"keep_alive":false}'
has 'no keep-alive' "$head" 'Connection: close'

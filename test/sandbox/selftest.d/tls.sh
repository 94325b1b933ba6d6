# TLS with a certificate made here.

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \
	-days 2 -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1 \
	-keyout "$tmp/key.pem" -out "$tmp/cert.pem" 2>/dev/null
start S --orders 20 --tls-cert "$tmp/cert.pem" --tls-key "$tmp/key.pem"
[[ $S =~ ^https://127\.0\.0\.1:[0-9]+$ ]] && ok || not_ok 'TLS start-up line' "$S"
get order
is 'unknown certificate refused' "$rc" 60
get order --cacert "$tmp/cert.pem"
is 'over TLS' "$status $(norders)" '200 15'
ctl fault '{"do":{"reset":"before"}}'
get order --cacert "$tmp/cert.pem"
[ "$rc" -ne 0 ] && ok || not_ok 'TLS connection reset'
ctl fault '{"do":{"drip":{"bytes":900,"every_ms":1}}}'
get order/1 --cacert "$tmp/cert.pem"
is 'drip over TLS' "$rc $status" '0 200'
ctl fault '{"do":{"cut_body":50}}'
get order/1 --cacert "$tmp/cert.pem"
[ "$rc" -ne 0 ] && ok || not_ok 'cut over TLS'
ctl nofault
ctl config '{"latency_ms":100}'
get order/1 --cacert "$tmp/cert.pem"
is 'latency over TLS' "$status" 200

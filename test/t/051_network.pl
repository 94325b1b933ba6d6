# The servers that the extension connects to: https with a verified certificate,
# plain http only on this machine, no redirects, no proxy except that of the
# option.  It uses few connections, HTTP/2 and compression.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use ImpiloTest;
use IO::Select;
use IO::Socket::INET;
use PostgreSQL::Test::Utils ();

my $scratch = PostgreSQL::Test::Utils::tempdir();

# A server that listens on an address of this machine that is not loopback, and
# records connections.
my $probe = IO::Socket::INET->new(
	Proto => 'udp',
	PeerHost => '192.0.2.1',
	PeerPort => 9);
my $far = $probe ? $probe->sockhost : '192.0.2.1';
my $listener = IO::Socket::INET->new(
	Listen => 100,
	LocalHost => '0.0.0.0',
	Blocking => 0) or die $!;
my $far_port = $listener->sockport;

sub visitors
{
	my $n = 0;

	$n++ while $listener->accept;
	return $n;
}

my $api = sandbox(orders => 40);
my $node = cluster(
	'main', names => "127.far.test=$far near.test=127.0.0.1 "
	  . "127.both.test=$far 127.both.test=127.0.0.1 127.near.test=127.0.0.1 "
	  . "127.zero.test=0.0.0.0 127.any.test=:: 127.mapped.test=::ffff:127.0.0.1 "
	  . "127.mapfar.test=::ffff:$far 127.turn.test=127.0.0.1/$far");
my $port = $api->port;

# The server `net`, whose options each test changes
$node->safe_psql('postgres',
	    'CREATE SERVER net FOREIGN DATA WRAPPER impilo_fdw '
	  . "OPTIONS (base_url '"
	  . $api->url
	  . "/api/v3', max_retries '1');"
	  . "CREATE USER MAPPING FOR CURRENT_USER SERVER net OPTIONS (api_key 'sandbox-key');"
	  . 'CREATE SCHEMA net; IMPORT FOREIGN SCHEMA v3 FROM SERVER net INTO net');

# requests one order from an address, with additional options of the server
sub ask
{
	my ($url, %option) = @_;
	my $options = join ', ',
	  map { "$_ " . quote_literal($option{$_}) } sort keys %option;

	$options = ", $options" if $options ne '';
	return psql_error($node,
		    'DROP SERVER IF EXISTS other CASCADE;'
		  . 'CREATE SERVER other FOREIGN DATA WRAPPER impilo_fdw OPTIONS '
		  . "(max_retries '1', base_url "
		  . quote_literal($url)
		  . "$options);"
		  . "CREATE USER MAPPING FOR CURRENT_USER SERVER other OPTIONS (api_key 'sandbox-key');"
		  . 'CREATE FOREIGN TABLE asked (id bigint) SERVER other '
		  . "OPTIONS (relation 'orders');"
		  . 'SELECT id FROM asked WHERE id = 7');
}

sub answers
{
	my ($answer, $name) = @_;

	is("$answer->{sqlstate} $answer->{stdout}", '00000 7', $name)
	  or diag($answer->{stderr});
	return;
}

#----------------------------------------------------------------------
# Addresses that an option may not hold
#----------------------------------------------------------------------

foreach my $url (
	"http://0.0.0.0:$port/api/v3",
	"http://[::]:$port/api/v3",
	"http://2130706433:$port/api/v3",
	"http://0x7f000001:$port/api/v3",
	"http://0177.0.0.1:$port/api/v3",
	"http://0x7f.1:$port/api/v3",
	"http://017700000001:$port/api/v3",
	"http://[::ffff:127.0.0.1]:$port/api/v3",
	"http://[0:0:0:0:0:0:0:1]:$port/api/v3",
	'http://app.impiloplatform.com/api/v3',
	'http://localhost.far.test/api/v3',
	'http://localhost@far.test/api/v3',
	'http://127.0.0.1@far.test/api/v3',
	'http://127.0.0.1:80@far.test/api/v3',
	'http://127.0.0.1\\@far.test/api/v3',
	'http://127.0.0.1#@far.test/api/v3',
	'HTTP://far.test/api/v3',
	'https://user:password@far.test/api/v3',
	'https://user@far.test/api/v3',
	'https://far.test/api/v3?key=1',
	'https://far.test/api/v3#x',
	'https://far.test?x',
	'https://far.test/api/../v3',
	'https://far.test/api/./v3',
	'https://far.test/api/..',
	'https://far.test/api/.',
	'https://far.test/..',
	'https://far.test/api/%2e%2e/v3',
	'https://far.test/api/.%2E',
	'https://far.test/%2e',
	'https://far.test/api\\..\\v3',
	'https://far.test/api//v3',
	'https://',
	'https:///api/v3',
	'https://:443/api/v3',
	'https:far.test/api/v3',
	'//far.test/api/v3',
	'far.test/api/v3',
	'ftp://far.test/api/v3',
	'file:///etc/passwd',
	'gopher://127.0.0.1/',
	'',
	"https://far.test/api/v3\r\nX-Injected: 1",
	"https://far.test/api/v3\nX-Injected: 1",
	"https://far.test\r\n/api/v3",
	"https://far.test/api/v3\x01",
	"https://far.test/api/v3\x7f",
	"https://far.test/api v3",
	"https://far.test/api/v3\t",
	"https://f\xc3\xa4r.test/api/v3")
{
	my $error = ask($url);
	(my $shown = $url) =~ s/([^ -~])/sprintf '\\x%02x', ord $1/ge;

	is($error->{sqlstate}, 'HV024', "base_url '$shown' is refused");
}
is(visitors(), 0, 'no request was sent');

# characters that would end a header line or begin another one
foreach my $key ("k\r\nX-Injected: 1", "k\nX: 1", "k\x01", 'k k', "k\xc3\xa4", '')
{
	my $error = psql_error($node,
		'ALTER USER MAPPING FOR CURRENT_USER SERVER net OPTIONS (SET api_key '
		  . quote_literal($key)
		  . ')');
	(my $shown = $key) =~ s/([^ -~])/sprintf '\\x%02x', ord $1/ge;

	is($error->{sqlstate}, 'HV024', "api_key '$shown' is refused");
	unlike($error->{stderr}, qr/X-Injected|k k/, 'the error does not show it')
	  if length $key > 2;
}
foreach my $file ('relative.pem', '../ca.pem', '')
{
	is( psql_error($node,
			'ALTER SERVER net OPTIONS (ADD ca_file ' . quote_literal($file) . ')')
		  ->{sqlstate},
		'HV024',
		"ca_file '$file' is refused");
}
foreach my $proxy ("http://p\r\nX: 1", 'http://user:password@p:3128',
	'http://user@p:3128', 'http://p 1', "http://f\xc3\xa4r.test", 'p:3128', 'ftp://p', "http://p\x01", '')
{
	(my $shown = $proxy) =~ s/([^ -~])/sprintf '\\x%02x', ord $1/ge;

	is( psql_error($node,
			'ALTER SERVER net OPTIONS (ADD proxy ' . quote_literal($proxy) . ')')
		  ->{sqlstate},
		'HV024',
		"proxy '$shown' is refused");
}

# values are sent as JSON, with any characters
$api->ctl('log-reset');
$node->safe_psql('postgres', <<'SQL');
INSERT INTO net.orders (patient_id, external_order_ids, order_items, order_notes)
VALUES (1, ARRAY[E'a\r\nImpilo-API-Key: x', '"}, {"', 'b?page=2#/../c'],
        impilo_order_item(1000), '[{"note": "\r\n\r\nPOST /api/v3/order HTTP/1.1"}]')
SQL
is($api->count('posts'), 1, 'a value cannot cause another request');
is( $node->safe_psql(
		'postgres',
		'SELECT external_order_ids = '
		  . q(ARRAY[E'a\r\nImpilo-API-Key: x', '"}, {"', 'b?page=2#/../c'])
		  . ' FROM net.orders WHERE id = 41'),
	't',
	'the value is stored unchanged');

#----------------------------------------------------------------------
# Plain http: the address counts, not the name
#----------------------------------------------------------------------

answers(ask("http://127.0.0.1:$port/api/v3"), 'http to 127.0.0.1');
answers(ask("http://localhost:$port/api/v3"), 'http to localhost');
answers(ask("http://LocalHost:$port/api/v3/"), 'http to LocalHost');
answers(ask("http://127.1:$port/api/v3"), 'http to 127.1');
answers(ask("http://127.near.test:$port/api/v3"),
	'http to a name whose address is loopback');
is(ask("http://[::1]:$far_port/api/v3")->{sqlstate},
	'08001', '[::1] is allowed; the connection is refused');
is(ask("http://127.0.0.2:$port/api/v3")->{sqlstate},
	'08001', '127.0.0.2 is allowed; the connection is refused');
SKIP:
{
	skip 'no IPv6 here', 1 if !-s '/proc/net/if_inet6';
	answers(ask("http://127.mapped.test:$port/api/v3"),
		'http to 127.0.0.1 as an address of IPv6');
}

# 0.0.0.0 is this machine only by the rules of some kernels
foreach my $name ('zero', 'any', 'mapfar')
{
	# the time is for code that does ask somebody there
	like(
		ask("http://127.$name.test:$far_port/api/v3", request_timeout => '1s')
		  ->{sqlstate},
		$name eq 'zero' ? qr/^HV00N$/ : qr/^(HV00N|08001)$/,
		"127.$name.test is not a loopback address");
}

# a name that is bound to this machine first, and then to another
attach(
	$node, undef,
	name => 'turning',
	url => "http://127.turn.test:$port/api/v3",
	server => { max_retries => 1 });
{
	my $session = session($node);
	my $sql = 'SELECT id FROM turning.orders WHERE id = 7';

	is($session->query($sql), '7', 'the first look-up gives a loopback address');
	$session->query('SELECT impilo_fdw_disconnect_all()');
	PostgreSQL::Test::Utils::append_to_file($node->data_dir . '/turned', '');
	$session->query($sql);
	is($session->error->{sqlstate},
		'HV00N', 'the next look-up gives another address, which is refused');
	$session->quit;
}

foreach my $url ("http://127.far.test:$far_port/api/v3",
	"http://127.0.0.1%00.far.test:$far_port/api/v3",
	"http://127.0.0.1%0d%0a.far.test:$far_port/api/v3",
	"http://127.0.0.1%2efar.test:$far_port/api/v3")
{
	my $error = ask($url, request_timeout => '1s');

	if ($url =~ /%/)
	{
		like($error->{sqlstate}, qr/^(08001|HV00N|HV024)$/, "$url is refused");
		next;
	}
	is($error->{sqlstate}, 'HV00N', "$url is refused");
	like($error->{message}, qr/not allowed/, 'the message states that it is not allowed');
	like($error->{detail}, qr/loopback/, 'the detail names the reason, the address');
	like($error->{hint}, qr/https/, 'the hint names https');
}
# of several addresses only the allowed ones are tried
like(
	ask("http://127.both.test:$far_port/api/v3", request_timeout => '300ms')
	  ->{sqlstate},
	qr/^(08|HV0)/, 'a name with an address of each kind');
my @visits;
while (my $visit = $listener->accept)
{
	push @visits, $visit->sockhost;
}
is(scalar(grep { !/^127\./ } @visits), 0,
	'no request went to an address that is not loopback');

#----------------------------------------------------------------------
# Certificates
#----------------------------------------------------------------------

my $good = certificate();
my $other = certificate();

sub at_certificate
{
	my ($certificate, $ca_file, $host) = @_;
	my $server = sandbox(orders => 10, tls => $certificate);
	my $error = ask('https://' . ($host // 'localhost') . ':' . $server->port . '/api/v3',
		$ca_file ? (ca_file => $ca_file) : ());

	# the client of this test does not verify
	$server->{asked} = $server->count('requests') if !$ca_file;
	$server->stop;
	return $error;
}

# a self-signed certificate
sub self_signed
{
	my %made = (cert_file => "$scratch/self.pem", key_file => "$scratch/self.key");
	my $out = '';

	IPC::Run::run(
		[
			qw(openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost),
			'-addext', 'subjectAltName=DNS:localhost', '-keyout', $made{key_file},
			'-out', $made{cert_file}
		],
		'>', \$out, '2>&1') or die $out;
	return \%made;
}

answers(at_certificate($good, $good->{ca_file}),
	'https with a certificate of the given authority');
answers(at_certificate($good, $good->{ca_file}, '127.0.0.1'),
	'https to an address that the certificate names');

my %bad = (
	'of an unknown authority' => [ $good, undef ],
	'of another authority' => [ $good, $other->{ca_file} ],
	'of another host' => [
		certificate(host => 'example.test', ip => '192.0.2.7', ca => $good),
		$good->{ca_file}
	],
	'of another name for this host' => [ $good, $good->{ca_file}, 'near.test' ],
	'that signed itself' => [ self_signed(), $good->{ca_file} ],
	'that expired' => [ certificate(days => -1, ca => $good), $good->{ca_file} ]);
foreach my $case (sort keys %bad)
{
	my $error = at_certificate(@{ $bad{$case} });

	is($error->{sqlstate}, '08001', "a certificate $case is refused");
	like("$error->{message} $error->{detail}",
		qr/certificate|SSL|TLS/i, 'the message names the reason');
}
# ping returns how far it came
{
	my $server = sandbox(orders => 10, tls => $good);
	my $url = 'https://localhost:' . $server->port . '/api/v3';
	my $ping = 'SELECT ok, http_status, sqlstate, '
	  . "problem ~* 'certificate|SSL|TLS', lookup_ms >= 0, tls_ms > 0, "
	  . "first_byte_ms > 0 FROM impilo_fdw_ping('other')";

	ask($url);
	is($node->safe_psql('postgres', $ping),
		'f||08001|t|t||', 'ping: a certificate that is refused');
	answers(ask($url, ca_file => $good->{ca_file}), 'https with ca_file of this authority');
	is($node->safe_psql('postgres', $ping),
		't|200|||t|t|t', 'ping returns the time of the handshake');
	$server->stop;
}
{
	my $error = ask('https://localhost:1/api/v3', ca_file => '/no/such/file');

	is($error->{sqlstate}, '58P01', 'a ca_file that does not exist');
	is(ask('https://localhost:1/api/v3', ca_file => $scratch)->{sqlstate},
		'42809', 'a ca_file that is a folder');
	PostgreSQL::Test::Utils::append_to_file("$scratch/unreadable", 'x');
	chmod 0, "$scratch/unreadable" or die $!;
	is( ask('https://localhost:1/api/v3', ca_file => "$scratch/unreadable")
		  ->{sqlstate},
		'42501',
		'a ca_file that the server may not read');
	PostgreSQL::Test::Utils::append_to_file("$scratch/empty", '');
	$error = at_certificate($good, "$scratch/empty");
	is($error->{sqlstate}, '08001', 'a ca_file that is empty');
	like("$error->{detail} $error->{hint}",
		qr/failed: (?s:.*)ca_file/, 'after one attempt, and the hint names the option');
	PostgreSQL::Test::Utils::append_to_file("$scratch/nonsense", "nonsense\n");
	is(at_certificate($good, "$scratch/nonsense")->{sqlstate},
		'08001', 'a ca_file without a certificate');
}

{
	my $old_port = PostgreSQL::Test::Cluster::get_free_port();
	my $log = "$scratch/s_server.log";
	my $pid = fork() // die $!;

	if ($pid == 0)
	{
		open STDIN, '<', '/dev/null';
		open STDOUT, '>', $log;
		open STDERR, '>&', \*STDOUT;
		exec 'openssl', 's_server', '-accept', "127.0.0.1:$old_port", '-key',
		  $good->{key_file}, '-cert', $good->{cert_file}, '-www', '-tls1_1',
		  '-cipher', 'ALL:@SECLEVEL=0'
		  or POSIX::_exit(127);
	}
	wait_until(
		sub { IO::Socket::INET->new(PeerAddr => "127.0.0.1:$old_port") },
		's_server');

	# a machine whose OpenSSL is set to allow it
	PostgreSQL::Test::Utils::append_to_file("$scratch/openssl.cnf", <<'CONF');
openssl_conf = all
[all]
ssl_conf = ssl
[ssl]
system_default = lax
[lax]
MinProtocol = TLSv1
CipherString = DEFAULT@SECLEVEL=0
CONF
	{
		local $ENV{OPENSSL_CONF} = "$scratch/openssl.cnf";
		my $seen = '';

		IPC::Run::run([ 'openssl', 's_client', '-connect', "127.0.0.1:$old_port" ],
			'<', \undef, '>', \$seen, '2>', \my $ignored);
		like($seen, qr/Protocol *: TLSv1\.1/,
			'a server with TLS 1.1 only is refused, although OpenSSL allows it');
		$node->restart;
	}
	my $error = ask("https://localhost:$old_port/api/v3",
		ca_file => $good->{ca_file});
	kill 'TERM', $pid;
	waitpid $pid, 0;
	is($error->{sqlstate}, '08001', 'TLS 1.1 is refused');
	unlike(PostgreSQL::Test::Utils::slurp_file($log),
		qr/GET/, 'no request is sent to it');
}

#----------------------------------------------------------------------
# Redirects
#----------------------------------------------------------------------

my $elsewhere = sandbox(orders => 40);
my $target = $elsewhere->url . '/api/v3/order/7?token=sandbox-key&name=Miller';

foreach my $status (301, 302, 303, 307, 308)
{
	foreach my $sql ('SELECT id FROM net.orders WHERE id = 7',
		'SELECT count(*) FROM net.orders',
		'INSERT INTO net.orders (site_id, order_items) VALUES (1, impilo_order_item(1000))'
	  )
	{
		my ($what) = $sql =~ /^(\w+ (?:count|id)?)/;
		my $error;

		$api->fault({ do => { redirect => $target, status => $status } });
		$error = psql_error($node, $sql);
		like($error->{sqlstate}, qr/^(HV00N|IU001)$/,
			"a redirect by $status of $what is refused");
		like($error->{detail}, qr/127\.0\.0\.1:@{[$elsewhere->port]}/,
			'the detail names the address of the target');
		unlike($error->{stderr}, qr/sandbox-key|Miller|token/,
			'the error does not show the rest of the target');
	}
}
# other schemes, and what only looks like one
foreach my $case (
	[ 'https://far.test/order/7?name=Miller', qr/the address https:\/\/far\.test: / ],
	[ 'HTTPS://Miller:token@far.test:1?x', qr/the address https:\/\/far\.test:1: / ],
	[ '//far.test/Miller', qr/the address http:\/\/far\.test: / ],
	[ 'file:///etc/passwd', qr/HTTP status 302: / ],
	[ 'ftp://far.test/Miller', qr/the address ftp:\/\/far\.test: / ],
	[ 'gopher://far.test/Miller', qr/the address gopher:\/\/far\.test: / ],
	[ 'javascript:Miller', qr/HTTP status 302: / ],
	[ 'Miller', qr/the address http:\/\/127\.0\.0\.1:\d+: / ],
	[ '/order?name=Miller&next=https://far.test/', qr/the address http:\/\/127\.0\.0\.1:\d+: / ],
	[ '?Miller://far.test', qr/the address http:\/\/127\.0\.0\.1:\d+: / ])
{
	my ($location, $shown) = @$case;
	my $error;

	$api->fault({ do => { redirect => $location, status => 302 } });
	$error = psql_error($node, 'SELECT id FROM net.orders WHERE id = 7');
	is($error->{sqlstate}, 'HV00N', "a redirect to $location is refused");
	like($error->{detail}, $shown, 'the detail names the address of the target');
	unlike($error->{stderr}, qr/Miller|token|passwd/, 'the error does not show the rest of the target');
}
$api->fault(
	{ do => { redirect => '/api/v3/order/8', status => 302 } });
is(psql_error($node, 'SELECT id FROM net.orders WHERE id = 7')->{sqlstate},
	'HV00N', 'a redirect to the same host is refused');
$api->fault;
is($elsewhere->count('requests'), 0, 'the target of the redirects was not asked');
is($elsewhere->count('connections'), 0, 'no connection to the target was opened');
$elsewhere->stop;

# a response of a gateway instead of the API: its content type is not JSON
foreach my $case (
	[ 'text/html', 'HV00M' ],
	[ 'text/plain; charset=utf-8', 'HV00M' ],
	[ 'application/jsonp', 'HV00M' ],
	[ 'text/application/json', 'HV00M' ],
	[ 'APPLICATION/JSON;charset=utf-8', '00000' ],
	[ 'application/vnd.orders+json', '00000' ])
{
	my ($type, $sqlstate) = @$case;

	$api->fault({ do => { content_type => $type } });
	is( psql_error($node, 'SELECT id FROM net.orders WHERE id = 7')
		  ->{sqlstate},
		$sqlstate,
		"a response of type $type is refused");
}
$api->fault;

#----------------------------------------------------------------------
# Proxies
#----------------------------------------------------------------------

# A proxy for CONNECT that records its requests
sub proxy
{
	my $socket = IO::Socket::INET->new(
		Listen => 20,
		LocalHost => '127.0.0.1') or die $!;
	my $log = "$scratch/proxy." . $socket->sockport;
	my $pid = fork() // die $!;

	if ($pid == 0)
	{
		# the handler of the harness would stop the server
		$SIG{TERM} = 'DEFAULT';
		$SIG{CHLD} = 'IGNORE';
		while (my $client = $socket->accept)
		{
			next if fork();
			my $request = '';
			my $server;

			while ($request !~ /\r\n\r\n/)
			{
				sysread($client, $request, 4096, length $request) or last;
			}
			PostgreSQL::Test::Utils::append_to_file($log, $request);
			$server = IO::Socket::INET->new(PeerAddr => "127.0.0.1:$1")
			  if $request =~ /^CONNECT [^ ]*:(\d+) /;
			POSIX::_exit(0) if !$server;
			syswrite $client, "HTTP/1.1 200 connected\r\n\r\n";
			my $select = IO::Select->new($client, $server);
			while (my @ready = $select->can_read)
			{
				foreach my $from (@ready)
				{
					my $to = $from == $client ? $server : $client;
					my $data;

					sysread($from, $data, 65536) or POSIX::_exit(0);
					syswrite $to, $data;
				}
			}
		}
		POSIX::_exit(0);
	}
	return {
		pid => $pid,
		url => 'http://127.0.0.1:' . $socket->sockport,
		asked => sub {
			return -e $log ? PostgreSQL::Test::Utils::slurp_file($log) : '';
		},
		stop => sub { kill 'TERM', $pid; waitpid $pid, 0; }
	};
}

my $proxy = proxy();
my $https = sandbox(orders => 40, tls => $good);
{
	local %ENV = (
		%ENV,
		(map { $_ => $proxy->{url} }
			  qw(http_proxy https_proxy HTTPS_PROXY HTTP_PROXY all_proxy ALL_PROXY)),
		no_proxy => '*',
		NO_PROXY => '*',
		CURL_CA_BUNDLE => '/no/such/file',
		CURL_HOME => "$scratch/home",
		HOME => "$scratch/home");

	mkdir "$scratch/home";
	PostgreSQL::Test::Utils::append_to_file("$scratch/home/.netrc",
		"machine localhost login secret password secret\n"
		  . "machine 127.0.0.1 login secret password secret\n"
		  . "default login secret password secret\n");
	PostgreSQL::Test::Utils::append_to_file("$scratch/home/.curlrc",
		"insecure\nuser = secret:secret\nheader = \"Accept: x/curlrc\"\n");
	chmod 0600, glob "$scratch/home/.*rc";
	$node->restart;
}
$api->ctl('log-reset');
answers(ask($https->url . '/api/v3', ca_file => $good->{ca_file}),
	'https, while the environment names a proxy');
answers(ask($api->url . '/api/v3'), 'http, while the environment names a proxy');
is($proxy->{asked}->(), '', 'the proxy of the environment received no request');
{
	my $seen = $api->ctl('log-json');

	like($seen, qr/"method"/, 'the log of the sandbox has requests');
	unlike($seen, qr/Basic|curlrc/,
		'neither the password of .netrc nor the header of .curlrc was sent');
}

answers(
	ask($https->url . '/api/v3',
		ca_file => $good->{ca_file},
		proxy => $proxy->{url}),
	'https through the proxy of the option');
like($proxy->{asked}->(), qr/^CONNECT localhost:@{[$https->port]} /,
	'the proxy received a CONNECT request');
unlike($proxy->{asked}->(), qr/impilo-api-key|sandbox-key/i,
	'the proxy did not receive the key');
my $before = $proxy->{asked}->();
answers(ask($api->url . '/api/v3', proxy => $proxy->{url}),
	'plain http with the option proxy');
is($proxy->{asked}->(), $before, 'plain http does not use the proxy');
$proxy->{stop}->();
{
	my $error = ask($https->url . '/api/v3',
		ca_file => $good->{ca_file},
		proxy => $proxy->{url});

	is($error->{sqlstate}, '08001', 'a proxy that does not exist');
}
$https->stop;

#----------------------------------------------------------------------
# The headers of a request
#----------------------------------------------------------------------

# A server that responds with a cookie and records what it receives
{
	my $socket = IO::Socket::INET->new(
		Listen => 20,
		LocalHost => '127.0.0.1') or die $!;
	my $log = "$scratch/asked";
	my $pid = fork() // die $!;

	if ($pid == 0)
	{
		$SIG{TERM} = 'DEFAULT';
		while (my $client = $socket->accept)
		{
			my $request = '';

			while ($request !~ /\r\n\r\n/)
			{
				sysread($client, $request, 4096, length $request) or last;
			}
			PostgreSQL::Test::Utils::append_to_file($log, $request);
			syswrite $client,
			  "HTTP/1.1 200 OK\r\nSet-Cookie: a=b; Path=/\r\nConnection: close\r\n"
			  . "Alt-Svc: h2=\":1\"\r\nStrict-Transport-Security: max-age=999\r\n"
			  . "Content-Type: application/json\r\nContent-Length: 8\r\n\r\n{\"id\":7}";
		}
		POSIX::_exit(0);
	}
	attach(
		$node, undef,
		name => 'baker',
		url => 'http://127.0.0.1:' . $socket->sockport);
	my $session = session($node);
	is($session->query('SELECT id FROM baker.orders WHERE id = 7'),
		'7', 'an answer with a cookie')
	  foreach 1 .. 2;
	$session->quit;
	kill 'TERM', $pid;
	waitpid $pid, 0;

	my $asked = PostgreSQL::Test::Utils::slurp_file($log);
	my %headers = map { lc $_ => 1 } $asked =~ /^([\w-]+):/gm;
	is(scalar(() = $asked =~ m{^GET /order/7 HTTP/1\.1\r$}gm),
		2, 'both requests arrived');
	is( join(' ', sort keys %headers),
		'accept accept-encoding host impilo-api-key user-agent',
		'a request has these headers, and no cookie');
}

#----------------------------------------------------------------------
# Few connections, HTTP/2, compression: an nginx before the sandbox
#----------------------------------------------------------------------

my $nginx;

# one line a request: port, protocol, TLS, reused, encoding, connection
sub nginx_log
{
	return map { [split] }
	  split /\n/,
	  PostgreSQL::Test::Utils::slurp_file("$nginx->{dir}/access.log");
}

sub distinct
{
	my %seen = map { $_ => 1 } @_;

	return scalar keys %seen;
}

SKIP:
{
	$nginx = nginx(
		$api->url,
		certificate => $good,
		servers => { modern => 'http2', closing => '; keepalive_requests 1' },
		http => <<'CONF');
log_format facts '$server_port $server_protocol $ssl_protocol $ssl_session_reused $sent_http_content_encoding $connection $status $http_user_agent';
access_log access.log facts;
ssl_session_cache shared:s:1m;
gzip on; gzip_proxied any; gzip_types application/json;
CONF
	skip 'nginx is not installed', 1 if !$nginx;
	my ($modern, $closing) = @$nginx{qw(modern closing)};
	my %both = (ca_file => $good->{ca_file}, fetch_size => 10);
	my (@modern, @closing);

	attach(
		$node, undef,
		name => 'modern',
		url => "https://localhost:$modern/api/v3",
		server => {%both});
	attach(
		$node, undef,
		name => 'closing',
		url => "https://localhost:$closing/api/v3",
		server => {%both});
	$api->config(latency_ms => 20);
	my $session = session($node);
	foreach my $name ('modern', 'closing')
	{
		is($session->query("SELECT count(document) FROM $name.orders"),
			'41', "$name: the list through nginx");
		is( $session->query(
				"SELECT count(*) FROM $name.orders WHERE id = ANY ('{1,2,3,4,5}')"
			),
			'5',
			"$name: look-ups through nginx");
		is( $session->query(
				"INSERT INTO $name.orders (patient_id, order_items) "
				  . 'VALUES (1, impilo_order_item(1000)) RETURNING patient_id'),
			'1',
			"$name: a creation through nginx");
		$api->ctl('delete', 42);
		$api->ctl('reset');
		$node->safe_psql('postgres',
			"INSERT INTO net.orders (patient_id, order_items) "
			  . 'VALUES (1, impilo_order_item(1000))');
		$api->config(latency_ms => 20);
	}
	$session->quit;
	$api->config(latency_ms => 0);

	@modern = grep { $_->[0] == $modern } nginx_log();
	@closing = grep { $_->[0] == $closing } nginx_log();
	cmp_ok(scalar @modern, '>=', 11, 'nginx has seen the requests');
	is(scalar(grep { $_->[1] ne 'HTTP/2.0' } @modern),
		1, 'all requests use HTTP/2 except the one that creates an order');
	is(distinct(map { $_->[5] } @modern), 2, 'the requests use one connection for each protocol');
	is(scalar(grep { $_->[4] ne 'gzip' && $_->[6] == 200 } @modern),
		0, 'compressed');
	is(scalar(grep { $_->[2] !~ /^TLSv1\.[23]$/ } @modern, @closing),
		0, 'TLS 1.2 or newer');
	like($modern[0][7], qr{^impilo_fdw/\d}, 'the User-Agent names the version');
	is(scalar(grep { $_->[1] ne 'HTTP/1.1' } @closing),
		0, 'without HTTP/2: by HTTP/1.1');
	cmp_ok(
		scalar(grep { $_->[3] eq 'r' } @closing),
		'>', @closing / 4,
		'a new connection resumes a TLS session');
	note("$_->[0]: " . join(' ', @$_)) foreach @modern[ 0 .. 2 ], @closing;

	# The limits apply to streams of HTTP/2: a body that is too large is refused
	# while it arrives, a missing one times out, and the session continues.
	$node->safe_psql('postgres',
		"ALTER SERVER modern OPTIONS (ADD max_response_size '1MB', ADD request_timeout '2s', ADD max_retries '0')");
	$session = session($node);
	foreach my $flood (
		[ 'a gzip bomb', { gzip_bomb => 100 }, '54000' ],
		[ 'a long body', { raw => '', repeat => { text => 'xy', count => 10_000_000 } }, '54000' ],
		[ 'a body that is cut', { cut_body => 100 }, '08006' ],
		[ 'a dripping body', { drip => { bytes => 1, every_ms => 50 } }, '08006' ],
		[ 'a silent server', { hang => \1 }, '08006' ])
	{
		my ($name, $do, $sqlstate) = @$flood;

		$api->fault({ do => $do });
		$session->query('SELECT document FROM modern.orders WHERE id = 7');
		is($session->error->{sqlstate}, $sqlstate, "$name by HTTP/2");
		$api->fault;
		is($session->query('SELECT id FROM modern.orders WHERE id = 7'),
			'7', "$name by HTTP/2: the session continues");
	}
	is(scalar(grep { $_->[0] == $modern && $_->[1] ne 'HTTP/2.0' } nginx_log()),
		1, 'these requests use HTTP/2');
	$session->quit;
}

# keep-alive over plain http, too
$node->safe_psql('postgres', "ALTER SERVER net OPTIONS (ADD fetch_size '5')");
{
	my $session = session($node);
	my $connections = $api->count('connections');
	my $requests = $api->count('requests');

	$session->query('SELECT count(document) FROM net.orders') foreach 1 .. 5;
	$session->query("SELECT id FROM net.orders WHERE id = $_") foreach 1 .. 20;
	cmp_ok($api->count('requests') - $requests,
		'>=', 60, 'many requests of one session');
	cmp_ok($api->count('connections') - $connections,
		'<=', 8, 'they use no more connections than were in use at once');
	$session->quit;
}

done_testing();

# ImpiloTest: functions for the TAP tests of impilo_fdw.
#
#   use strict;
#   use warnings;
#   use FindBin;
#   use lib "$FindBin::RealBin/../perl";
#   use ImpiloTest;                 # exports Test::More, too
#
#   my $api  = sandbox(orders => 100);         # a new sandbox of the API
#   my $node = cluster();                      # a new PostgreSQL server
#   attach($node, $api, server => { request_timeout => '2s' });
#
#   is($node->safe_psql('postgres', 'SELECT count(*) FROM impilo.orders'),
#      100, 'a scan returns every order');
#   done_testing();
#
# cluster(NAME, conf => TEXT)
#   Returns a running PostgreSQL::Test::Cluster with the extension in the
#   database postgres.  All its methods work: safe_psql, psql, restart,
#   logfile...  Statements are not logged, so that a test can search the log
#   for keys.
#
# cluster(NAME, names => 'slow.test=never far.test=192.0.2.1')
#   As above; until the next start, its backends resolve these names as given
#   (see test/preload/names.c).
#
# sandbox(orders => N, args => [...], tls => 1 | certificate(...))
#   Starts a sandbox on a free port.  It ends with the test.
#     $api->url, $api->port, $api->ca_file    its address; the authority of its
#                                             certificate (tls)
#     $api->config(latency_ms => 100)         changes settings of the sandbox
#     $api->fault({...}, ...)                 replaces all fault rules
#     $api->counts, $api->count('posts')      counters: a hash, a number
#     $api->log                               the requests, as text lines
#     $api->ctl('delete', 7)                  runs test/sandbox/ctl and returns
#                                             its output; dies if it fails
#     $api->stop, $api->start                 stops it; starts it on the same
#                                             port with new orders
#
# attach(NODE, API, name => 'impilo', key => 'sandbox-key', url => ...,
#        database => 'postgres', server => {...}, import => 1)
#   Creates the server NAME with these options, a user mapping for the current
#   user and the schema NAME with all relations.
#
# psql_error(NODE, SQL, database => ..., vars => {...})
#   Runs SQL and returns the first error as a hash: severity, sqlstate,
#   message, detail, hint, context, statement... Missing fields are ''.
#   Without an error sqlstate is '00000'.  If psql could not connect, sqlstate
#   is '' and message is psql's message.  {messages} has all messages in order,
#   including notices and warnings, {stdout} the output.
#
# session(NODE, database => ..., user => ...)
#   Starts a psql that keeps running, for two sessions or a running statement:
#     $s->query(SQL)      waits and returns the output
#     $s->send(SQL)       does not wait;  $s->wait waits and returns the output
#     $s->error           as from psql_error, for the last query or wait
#     $s->pid             of its backend;  $s->cancel cancels its statement
#     $s->quit            ends it, as the end of the test does
#
# certificate(host => 'localhost', ip => '127.0.0.1', days => 2, ca => OTHER)
#   Creates a key and a certificate of a new authority, or of the authority of
#   another certificate.  Returns a hash with ca_file, cert_file, key_file.  With
#   days below 0 the certificate has expired.
#
# nginx(BACKEND, servers => { port => 'http2' }, http => 'access_log off;',
#       certificate => certificate(...))
#   Starts an nginx with TLS before the address BACKEND.  It ends with the test.
#   A server of `servers` has the parameters of `listen` and further directives;
#   `http` are directives for all.  Returns a hash with pid, dir, certificate and
#   the port of each server, or undef if nginx is not installed.
#
# elapsed(CODE)           returns the seconds that CODE took
# log_text(NODE)          returns the server log; log_text(NODE, MARK) only the
# log_mark(NODE)          part after the mark
# memory(PID, FIELD)      returns a number of /proc/PID/status, such as VmRSS, in kB
# quote_literal(TEXT)     returns the text as an SQL literal
# wait_until(CODE, TEXT)  repeats CODE until it returns true; dies after a minute
#
# As root, every test is skipped, because initdb refuses to run.

package ImpiloTest;

use strict;
use warnings;

use Carp;
use Cwd qw(abs_path);
use Exporter 'import';
use File::Basename qw(dirname);
use IO::Socket::INET;
use IPC::Run ();
use POSIX ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

our @EXPORT = (
	@Test::More::EXPORT,
	qw(attach certificate cluster elapsed log_mark log_text memory nginx
	  psql_error quote_literal sandbox session wait_until));

our $PATIENCE = 60;    # seconds until a wait fails
our $SANDBOX_DIR = abs_path(dirname(__FILE__) . '/../sandbox');

# Processes that END stops.  These are package variables: with lexical ones, perl
# would close the pipes at exit and wait for the processes before END runs.
our @sandboxes;
our @sessions;
our @others;

plan skip_all => 'initdb does not run as root' if $> == 0;

END
{
	my $exit = $?;
	$_->quit foreach @sessions;
	$_->stop foreach @sandboxes;
	kill 'TERM', @others;
	waitpid $_, 0 foreach @others;
	$? = $exit;
}

sub cluster
{
	my ($name, %option) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name // 'main');

	$node->init;
	$node->append_conf('postgresql.conf', <<'CONF');
log_statement = none
log_error_verbosity = verbose
jit = off
CONF
	$node->append_conf('postgresql.conf', $option{conf})
	  if defined $option{conf};
	{
		local $ENV{IMPILO_TEST_NAMES} = $option{names} // '';
		local $ENV{LD_PRELOAD} = preload('names') if $option{names};
		$node->start;
	}
	$node->safe_psql('postgres', 'CREATE EXTENSION impilo_fdw');
	return $node;
}

# Builds a library of test/preload/ and returns its path.
sub preload
{
	my ($name, @flags) = @_;
	my $library = PostgreSQL::Test::Utils::tempdir() . "/$name.so";
	my $out = '';

	IPC::Run::run(
		[
			$ENV{CC} // 'cc', '-shared', '-fPIC', @flags, '-o', $library,
			"$SANDBOX_DIR/../preload/$name.c", '-ldl'
		],
		'>', \$out, '2>&1')
	  or croak "cc $name.c: $out";
	return $library;
}

sub sandbox
{
	my (%option) = @_;
	my $self = bless {
		args => $option{args} // [],
		orders => $option{orders} // 1000
	  },
	  'ImpiloTest::Sandbox';

	$self->{tls} = ref $option{tls} ? $option{tls} : certificate()
	  if $option{tls};
	push @sandboxes, $self;
	return $self->start;
}

sub session
{
	my ($node, %option) = @_;
	my $self = ImpiloTest::Session->new($node, %option);

	push @sessions, $self;
	return $self;
}

sub quote_literal
{
	my ($text) = @_;

	$text =~ s/'/''/g;
	return "'$text'";
}

sub attach
{
	my ($node, $api, %option) = @_;
	my $name = $option{name} // 'impilo';
	my %server = (
		base_url => $option{url} // ($api->url . '/api/v3'),
		%{ $option{server} // {} });

	$server{ca_file} //= $api->ca_file if $api && defined $api->ca_file;
	my $options =
	  join(', ', map { "$_ " . quote_literal($server{$_}) } sort keys %server);
	my $key = quote_literal($option{key} // 'sandbox-key');

	my $sql = "CREATE SERVER $name FOREIGN DATA WRAPPER impilo_fdw OPTIONS ($options);\n"
	  . "CREATE USER MAPPING FOR CURRENT_USER SERVER $name OPTIONS (api_key $key);\n";
	$sql .= "CREATE SCHEMA $name;\n"
	  . "IMPORT FOREIGN SCHEMA v3 FROM SERVER $name INTO $name;\n"
	  if $option{import} // 1;
	return $node->safe_psql($option{database} // 'postgres', $sql);
}

# Parses what psql prints with VERBOSITY verbose.
sub parse_messages
{
	my ($text) = @_;
	my @messages;
	my $field;

	foreach my $line (split /\n/, $text)
	{
		if ($line =~ /^(?:psql:.*?:\d+: )?(ERROR|FATAL|PANIC|WARNING|NOTICE|INFO|LOG|DEBUG):  ([0-9A-Z]{5}): (.*)$/)
		{
			push @messages,
			  {
				severity => $1,
				sqlstate => $2,
				message => $3,
				map { $_ => '' } qw(detail hint context query location)
			  };
			$field = 'message';
		}
		elsif (@messages
			&& $line =~ /^(DETAIL|HINT|CONTEXT|QUERY|LOCATION|LINE \d+|[A-Z]+ NAME): +(.*)$/)
		{
			$field = lc $1;
			$messages[-1]{$field} = $2;
		}
		elsif (@messages)
		{
			$messages[-1]{$field} .= "\n$line";
		}
		else
		{
			# a message of psql, such as a lost connection
			push @messages,
			  {
				severity => '',
				sqlstate => '',
				message => $line,
				map { $_ => '' } qw(detail hint context query location)
			  };
			$field = 'message';
		}
	}
	return @messages;
}

sub first_error
{
	my ($stdout, $stderr) = @_;
	my @messages = parse_messages($stderr);
	my ($error) = grep {
		$_->{severity} =~ /^(ERROR|FATAL|PANIC)$/
		  || $_->{message} =~ /^psql: error/
	} @messages;

	return {
		%{  $error
			  // {
				severity => '',
				sqlstate => '00000',
				message => '',
				map { $_ => '' } qw(detail hint context query location)
			  }
		},
		messages => \@messages,
		stdout => $stdout,
		stderr => $stderr
	};
}

sub psql_error
{
	my ($node, $sql, %option) = @_;
	my %vars = (VERBOSITY => 'verbose', %{ $option{vars} // {} });
	my ($stdout, $stderr) = ('', '');

	$node->psql(
		$option{database} // 'postgres', $sql,
		stdout => \$stdout,
		stderr => \$stderr,
		on_error_stop => 0,
		extra_params => [ map { ('-v', "$_=$vars{$_}") } sort keys %vars ]);
	return first_error($stdout, $stderr);
}

sub certificate
{
	my (%option) = @_;
	my $dir = PostgreSQL::Test::Utils::tempdir();
	my $host = $option{host} // 'localhost';
	my $ip = $option{ip} // '127.0.0.1';
	my $days = $option{days} // 2;
	my $ca = $option{ca};

	my $openssl = sub {
		my $out = '';
		IPC::Run::run([ 'openssl', @_ ], '>', \$out, '2>&1')
		  or croak "openssl @_: $out";
	};
	my @key = qw(-newkey rsa:2048 -nodes);

	if (!$ca)
	{
		$ca = { ca_file => "$dir/ca.pem", ca_key => "$dir/ca.key" };
		$openssl->(
			'req', '-x509', @key, '-days', 2, '-subj', '/CN=sandbox authority',
			'-keyout', $ca->{ca_key}, '-out', $ca->{ca_file});
	}
	# expired: openssl 3.4 and later accept no negative number of days
	my @validity = ('-days', $days);
	@validity = qw(-not_before 20200101000000Z -not_after 20200201000000Z)
	  if $days < 0 && `openssl x509 -help 2>&1` =~ /-not_before/;

	PostgreSQL::Test::Utils::append_to_file("$dir/extensions",
		"subjectAltName=DNS:$host,IP:$ip\n");
	$openssl->(
		'req', @key, '-subj', "/CN=$host", '-keyout', "$dir/server.key",
		'-out', "$dir/server.csr");
	$openssl->(
		'x509', '-req', '-in', "$dir/server.csr", '-CA', $ca->{ca_file},
		'-CAkey', $ca->{ca_key}, '-CAcreateserial', @validity,
		'-extfile', "$dir/extensions", '-out', "$dir/server.pem");
	return {
		ca_file => $ca->{ca_file},
		ca_key => $ca->{ca_key},
		cert_file => "$dir/server.pem",
		key_file => "$dir/server.key"
	};
}

sub nginx
{
	my ($backend, %option) = @_;
	my ($path) = grep { -x "$_/nginx" } split(/:/, $ENV{PATH}), qw(/usr/sbin /usr/local/sbin);
	my $servers = $option{servers} // { port => 'http2' };
	my $dir = PostgreSQL::Test::Utils::tempdir();
	my %nginx = (dir => $dir, certificate => $option{certificate} // certificate());
	my $http = $option{http} // 'access_log off;';

	return if !$path;
	foreach my $name (sort keys %$servers)
	{
		$nginx{$name} = PostgreSQL::Test::Cluster::get_free_port();
		$http .= " server { listen 127.0.0.1:$nginx{$name} ssl $servers->{$name}; location / { proxy_pass $backend; } "
		  . "ssl_certificate $nginx{certificate}{cert_file}; ssl_certificate_key $nginx{certificate}{key_file}; }";
	}
	PostgreSQL::Test::Utils::append_to_file("$dir/nginx.conf", <<"CONF");
daemon off; worker_processes 1; pid $dir/nginx.pid; error_log $dir/nginx.log;
events { worker_connections 1000; }
http {
client_body_temp_path $dir/1; proxy_temp_path $dir/2;
fastcgi_temp_path $dir/3; uwsgi_temp_path $dir/4; scgi_temp_path $dir/5;
$http
}
CONF
	$nginx{pid} = fork() // die $!;
	if ($nginx{pid} == 0)
	{
		open STDERR, '>', "$dir/nginx.err";
		exec "$path/nginx", '-p', $dir, '-c', "$dir/nginx.conf" or POSIX::_exit(127);
	}
	push @others, $nginx{pid};
	foreach my $name (sort keys %$servers)
	{
		wait_until(sub { IO::Socket::INET->new(PeerAddr => "127.0.0.1:$nginx{$name}") }, 'nginx');
	}
	return \%nginx;
}

sub elapsed
{
	my ($code) = @_;
	my $start = time;

	$code->();
	return time - $start;
}

sub log_mark
{
	my ($node) = @_;

	return -s $node->logfile;
}

sub log_text
{
	my ($node, $mark) = @_;

	return PostgreSQL::Test::Utils::slurp_file($node->logfile, $mark // 0);
}

sub memory
{
	my ($pid, $field) = @_;
	my ($kb) = PostgreSQL::Test::Utils::slurp_file("/proc/$pid/status") =~ /^$field:\s+(\d+) kB/m;

	return $kb;
}

sub wait_until
{
	my ($code, $what) = @_;
	my $end = time + $PATIENCE;

	until ($code->())
	{
		croak 'timeout while waiting for: ' . ($what // 'a condition')
		  if time > $end;
		sleep 0.02;
	}
	return 1;
}

#----------------------------------------------------------------------
# A sandbox
#----------------------------------------------------------------------

package ImpiloTest::Sandbox;

use Carp;
use HTTP::Tiny ();
use JSON::PP ();

my $json = JSON::PP->new->utf8->canonical;

sub start
{
	my ($self) = @_;
	my $program = "$ImpiloTest::SANDBOX_DIR/impilo_sandbox";
	my @command =
	  ($program, '--die-with-parent', '--orders', $self->{orders});

	croak "$program is not built: make -C test/sandbox" unless -x $program;
	push @command, '--port', $self->{port} if $self->{port};
	push @command, '--tls-cert', $self->{tls}{cert_file}, '--tls-key',
	  $self->{tls}{key_file}
	  if $self->{tls};
	push @command, @{ $self->{args} };

	my $pid = open($self->{pipe}, '-|');
	croak "fork: $!" unless defined $pid;
	if ($pid == 0)
	{
		open STDERR, '>>',
		  "$PostgreSQL::Test::Utils::log_path/sandbox.log";
		exec @command or POSIX::_exit(127);
	}
	$self->{pid} = $pid;

	# Read one line only: the sandbox keeps running.
	my $line = readline $self->{pipe};
	my ($port) = ($line // '') =~ /:(\d+)\/?\s*$/;
	croak "the sandbox did not start: @command" unless $port;
	$self->{port} = $port;
	return $self;
}

sub stop
{
	my ($self) = @_;

	return unless $self->{pid};
	kill 'TERM', $self->{pid};
	waitpid $self->{pid}, 0;
	close $self->{pipe};
	delete $self->{pid};
	return;
}

sub port { return $_[0]{port}; }

sub ca_file { return $_[0]{tls} && $_[0]{tls}{ca_file}; }

sub url
{
	my ($self) = @_;

	return ($self->{tls} ? 'https://localhost:' : 'http://127.0.0.1:')
	  . $self->{port};
}

sub ctl
{
	my ($self, @args) = @_;
	my ($out, $err) = ('', '');
	local $ENV{IMPILO_SANDBOX} = $self->url;

	IPC::Run::run([ "$ImpiloTest::SANDBOX_DIR/ctl", @args ],
		'<', \undef, '>', \$out, '2>', \$err)
	  or croak "ctl @args: $err$out";
	return $out;
}

# Uses the control endpoint without starting a process; only for http.
sub steer
{
	my ($self, $method, $path, $data) = @_;
	my %content = defined $data ? (content => $json->encode($data)) : ();
	my $response = HTTP::Tiny->new(proxy => undef, http_proxy => undef)->request($method,
		$self->url . "/_sandbox/$path", \%content);

	croak "$method $path: $response->{status} $response->{content}"
	  unless $response->{success};
	return $response->{content};
}

sub config
{
	my ($self, %setting) = @_;

	return $self->ctl('config', $json->encode(\%setting)) if $self->{tls};
	return $self->steer('POST', 'config', \%setting);
}

sub fault
{
	my ($self, @rules) = @_;

	return $self->steer('POST', 'faults', \@rules) if !$self->{tls};
	return $self->ctl('fault', map { $json->encode($_) } @rules)
	  if @rules;
	return $self->ctl('nofault');
}

sub counts
{
	my ($self) = @_;

	return $json->decode(
		$self->{tls} ? $self->ctl('count') : $self->steer('GET', 'counts'));
}

sub count
{
	my ($self, $member) = @_;

	return $self->counts->{$member}
	  // croak "the sandbox does not count \"$member\"";
}

sub log { return $_[0]->ctl('log'); }

#----------------------------------------------------------------------
# A psql that keeps running
#----------------------------------------------------------------------

package ImpiloTest::Session;

use Carp;

sub new
{
	my ($class, $node, %option) = @_;
	my $self = bless {
		node => $node,
		in => '',
		out => '',
		err => '',
		number => 0
	}, $class;
	my $connect = $node->connstr($option{database} // 'postgres');

	$connect .= " user=$option{user}" if defined $option{user};
	$self->{run} = IPC::Run::start(
		[
			$node->installed_command('psql'), '-XAtq', '-v',
			'VERBOSITY=verbose', '-d', $connect
		],
		'<', \$self->{in}, '>', \$self->{out}, '2>', \$self->{err},
		$self->{timer} = IPC::Run::timeout($ImpiloTest::PATIENCE * 2));
	$self->{pid} = $self->query('SELECT pg_backend_pid()');
	return $self;
}

sub pid { return $_[0]{pid}; }

sub error { return $_[0]{error}; }

sub send
{
	my ($self, $sql) = @_;
	my $mark = 'done ' . ++$self->{number};

	$self->{timer}->start($ImpiloTest::PATIENCE * 2);
	$self->{in} .= "$sql\n;\n\\echo $mark\n\\warn $mark\n";
	$self->{run}->pump_nb;
	return $self;
}

sub wait
{
	my ($self) = @_;
	my $mark = qr/(?:\A|(?<=\n))done $self->{number}\n/;

	until ($self->{out} =~ $mark && $self->{err} =~ $mark)
	{
		last unless $self->{run}->pumpable;
		$self->{run}->pump;
	}
	my ($stdout, $stderr) = ($self->{out}, $self->{err});
	$self->{out} = $self->{err} = '';
	s/$mark// foreach ($stdout, $stderr);
	chomp $stdout;
	$self->{error} = ImpiloTest::first_error($stdout, $stderr);
	return $stdout;
}

sub query
{
	my ($self, $sql) = @_;

	return $self->send($sql)->wait;
}

sub cancel
{
	my ($self) = @_;

	return $self->{node}
	  ->safe_psql('postgres', "SELECT pg_cancel_backend($self->{pid})");
}

sub quit
{
	my ($self) = @_;
	my $run = delete $self->{run};

	return unless $run;
	$run->kill_kill(grace => 2);
	return;
}

1;

# Drivers and ORMs read and create orders: the list of docs/clients.md.  A
# client that is not installed is skipped.  test/clients/README.md describes
# the steps.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use ImpiloTest;

my $clients = "$FindBin::RealBin/../clients";
my $jar = (grep { -e } '/usr/share/java/postgresql.jar')[0] // '';
my $api = sandbox(orders => 1000);
my $node = cluster('main', conf => "listen_addresses = '127.0.0.1'\n");    # JDBC has no Unix sockets

attach($node, $api);
$node->safe_psql('postgres',
	"CREATE TABLE patients (mrn text PRIMARY KEY, impilo_id bigint); INSERT INTO patients VALUES ('A-17', 38), ('A-18', 75)");
$node->safe_psql('postgres',
	"SELECT impilo_create_mirror('impilo', 'mirror'); SELECT impilo_refresh_mirror('mirror')");

my %connection = (PGHOST => $node->host, PGPORT => $node->port, PGUSER => getpwuid($<) . '', PGDATABASE => 'postgres');

# Debian's packages, the condition that they are installed, the command, and the
# results that differ
my @clients = (
	[ 'python3-psycopg', [ 'python3', '-c', 'import psycopg' ], [ 'python3', "$clients/dbapi.py", 'psycopg' ] ],
	[ 'python3-psycopg2', [ 'python3', '-c', 'import psycopg2' ], [ 'python3', "$clients/dbapi.py", 'psycopg2' ] ],
	[ 'python3-asyncpg', [ 'python3', '-c', 'import asyncpg' ], [ 'python3', "$clients/asyncpg.py" ] ],
	[
		'python3-pyodbc and odbc-postgresql',
		[ 'sh', '-c', "python3 -c 'import pyodbc' && odbcinst -q -d -n 'PostgreSQL Unicode'" ],
		[ 'python3', "$clients/dbapi.py", 'pyodbc' ],
		refused => '23503 - True',
		partly => 'IU002 False False'
	],
	[ 'node-pg', [ 'node', '-e', 'require("pg")' ], [ 'node', "$clients/pg.js" ] ],
	[ 'libdbd-pg-perl', [ 'perl', '-e', 'use DBD::Pg' ], [ 'perl', "$clients/dbi.pl" ] ],
	[
		'ruby-activerecord and ruby-pg',
		[ 'ruby', '-e', 'require "active_record"; require "pg"' ],
		[ 'ruby', "$clients/activerecord.rb" ]
	],
	[
		'libpostgresql-jdbc-java and a JDK',
		[ 'sh', '-c', "javac -version && test -e '$jar'" ],
		[
			'java', '-XX:TieredStopAtLevel=1', '-cp', $jar, "$clients/Jdbc.java",
			'jdbc:postgresql://127.0.0.1:' . $node->port . '/postgres', $connection{PGUSER}
		]
	],
	[
		'python3-sqlalchemy', [ 'python3', '-c', 'import sqlalchemy, psycopg2' ],
		[ 'python3', "$clients/models.py", 'SQLAlchemy' ], model => 'created True'
	],
	[
		'python3-django', [ 'python3', '-c', 'import django, psycopg2' ],
		[ 'python3', "$clients/models.py", 'Django' ], model => 'created True'
	],
	[
		'python3-psycopg (webhook)', [ 'python3', '-c', 'import psycopg' ],
		[ 'python3', "$clients/webhook.py" ], webhook => '403 200 500'
	]);
my %expected = (
	read => '3 shipped 1',
	prepared => '10 10',
	join => 'A-17 2 A-17 3 A-18 4',
	stream => '1000 1000',
	create => '1001 one created',
	batch => '4',
	repeat => '4',
	refused => '23503 impilo.orders True',
	partly => 'IU002 True True');

foreach my $client (@clients)
{
	my ($package, $check, $command, %differs) = @$client;
	my ($out, $err) = ('', '');
	my %results = exists $differs{model} || exists $differs{webhook} ? %differs : (%expected, %differs);
	my %got;

  SKIP:
	{
		local @ENV{ keys %connection } = values %connection;

		skip "$package is not installed", 1 + keys %results
		  unless eval { IPC::Run::run($check, '>&', \$out) };
		$api->ctl('reset');
		ok(IPC::Run::run($command, '>', \$out, '2>', \$err, IPC::Run::timeout(100)), "$package: runs")
		  or diag($err);
		%got = $out =~ /^(\w+): (.*?) *$/mg;
		is($got{$_} && $got{$_} =~ s/\b([tf])(?=rue\b|alse\b)/\U$1/gr, $results{$_}, "$package: $_")
		  foreach sort keys %results;
	}
}

done_testing();

# docs/data-dictionary.md is current, and the dictionary describes the tables
# that IMPORT FOREIGN SCHEMA creates.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use ImpiloTest;

my $root = "$FindBin::RealBin/../..";
my $node = cluster();
my ($written, $error) = ('', '');

IPC::Run::run([ "$root/test/dictionary.sh", '-d', $node->connstr('postgres') ],
	'<', \undef, '>', \$written, '2>', \$error)
  or die "test/dictionary.sh: $error";
is($written, PostgreSQL::Test::Utils::slurp_file("$root/docs/data-dictionary.md"),
	'docs/data-dictionary.md is up to date')
  or diag('test/dictionary.sh -d DATABASE >docs/data-dictionary.md');

attach($node, undef, url => 'http://127.0.0.1:9/api/v3');
is($node->safe_psql('postgres', <<'SQL'), '', 'columns and types are those of the tables');
SELECT coalesce(d.relation, c.relname), coalesce(d.column_name, a.attname), d.type,
	format_type(a.atttypid, a.atttypmod)
FROM (SELECT * FROM impilo_data_dictionary() WHERE column_name IS NOT NULL) d
FULL JOIN (pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
		AND c.relnamespace = 'impilo'::regnamespace)
	ON c.relname = d.relation AND a.attname = d.column_name
	AND format_type(a.atttypid, a.atttypmod) = d.type
WHERE (d.column_name IS NULL AND c.relnamespace = 'impilo'::regnamespace) OR a.attname IS NULL
SQL
is($node->safe_psql('postgres',
		'SELECT count(*) FROM impilo_data_dictionary() WHERE description IS NULL OR description !~ E\'\\\\.$\''),
	'0', 'every relation and column has a description that is a sentence');

# the extension works in any schema, which is fixed at CREATE EXTENSION
$node->safe_psql('postgres', 'CREATE DATABASE other');
is( $node->safe_psql('other', <<'SQL'), 't|t', 'the schema of the extension may have any name');
CREATE SCHEMA "My Extensions";
CREATE EXTENSION impilo_fdw SCHEMA "My Extensions";
CREATE SERVER s FOREIGN DATA WRAPPER impilo_fdw;
CREATE SCHEMA imported;
IMPORT FOREIGN SCHEMA v3 FROM SERVER s INTO imported;
SELECT "My Extensions".impilo_comment_tables('imported') = (SELECT count(*) FROM "My Extensions".impilo_data_dictionary()),
	EXISTS (SELECT FROM "My Extensions".impilo_fdw_diag() WHERE name = 'impilo_fdw extension');
SQL
is(psql_error($node, 'ALTER EXTENSION impilo_fdw SET SCHEMA pg_catalog')->{sqlstate},
	'0A000', 'the extension is not relocatable');

done_testing();

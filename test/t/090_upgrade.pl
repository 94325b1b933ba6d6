# ALTER EXTENSION impilo_fdw UPDATE from 1.0 makes the same objects as CREATE
# EXTENSION of the current version.
#
# While 1.0 is the current version there is no script to test.  So the test also
# makes a version 9.9 with a complete, an incomplete and no script.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use File::Basename qw(dirname);
use File::Copy qw(copy);
use JSON::PP ();
use ImpiloTest;

my $root = "$FindBin::RealBin/../..";
my $tempdir = PostgreSQL::Test::Utils::tempdir();

# A copy of PostgreSQL, to which the test adds versions of the extension
my $pg_config = do
{
	local $ENV{ROOT} = $root;
	local $ENV{COPY} = "$tempdir/postgres";
	`bash -c '. "\$ROOT/test/lib.sh"; PG_CONFIG=pg_config; private_postgres "\$COPY"; echo "\$PG_CONFIG"'`;
};
chomp $pg_config;
chomp(my $sharedir = `$pg_config --sharedir`);
chomp(my $libdir = `$pg_config --pkglibdir`);
chomp(my $built = `pg_config --pkglibdir`);

copy("$built/impilo_fdw.so", $libdir) or die "impilo_fdw.so: $!";
foreach my $file ("$root/impilo_fdw.control", glob "$root/sql/impilo_fdw--*.sql")
{
	copy($file, "$sharedir/extension") or die "$file: $!";
}

my $node = PostgreSQL::Test::Cluster->new('upgrade',
	install_path => dirname(dirname($pg_config)));
$node->init;
$node->start;

# Returns the members of the extension in a database: name => definition.
sub objects
{
	my ($database) = @_;
	my $rows = $node->safe_psql($database, <<'SQL');
WITH member AS (
	SELECT classid, objid, pg_describe_object(classid, objid, 0) AS name
	FROM pg_depend JOIN pg_extension e ON refobjid = e.oid
	WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e' AND extname = 'impilo_fdw'
), described AS (
	SELECT name, 'comment' AS what, obj_description(objid, classid::regclass::name) AS value FROM member
	UNION ALL
	SELECT name, 'definition', pg_get_functiondef(objid)
	FROM member JOIN pg_proc p ON classid = 'pg_proc'::regclass AND p.oid = objid WHERE prokind <> 'a'
	UNION ALL
	SELECT name, 'definition', concat_ws(' ', to_jsonb(a) - '{aggfnoid,aggtranstype}'::text[],
		format_type(aggtranstype, NULL), proparallel, pg_get_function_result(objid))
	FROM member JOIN pg_aggregate a ON classid = 'pg_proc'::regclass AND aggfnoid = objid
		JOIN pg_proc p ON p.oid = objid
	UNION ALL
	SELECT name, 'privileges', (SELECT string_agg(acl::text, ' ' ORDER BY acl::text)
		FROM unnest(coalesce(proacl, acldefault('f', proowner))) acl)
	FROM member JOIN pg_proc p ON classid = 'pg_proc'::regclass AND p.oid = objid
	UNION ALL
	SELECT name, 'definition', concat_ws(' ', fdwhandler::regproc, fdwvalidator::regproc, fdwoptions,
		coalesce(fdwacl, acldefault('F', fdwowner)))
	FROM member JOIN pg_foreign_data_wrapper f ON classid = 'pg_foreign_data_wrapper'::regclass AND f.oid = objid
	UNION ALL
	SELECT name, 'definition', concat_ws(' ', typtype, format_type(typbasetype, typtypmod), typnotnull,
		typdefault, coalesce(typacl, acldefault('T', typowner)),
		(SELECT array_agg(enumlabel ORDER BY enumsortorder) FROM pg_enum WHERE enumtypid = objid),
		(SELECT array_agg(pg_get_constraintdef(c.oid) ORDER BY conname) FROM pg_constraint c WHERE contypid = objid))
	FROM member JOIN pg_type t ON classid = 'pg_type'::regclass AND t.oid = objid
	UNION ALL
	SELECT name, 'definition', concat_ws(' ', relkind, relrowsecurity, reloptions,
		CASE WHEN relkind = 'v' THEN pg_get_viewdef(objid) END,
		(SELECT array_agg(pg_get_constraintdef(x.oid) ORDER BY conname) FROM pg_constraint x WHERE conrelid = objid),
		(SELECT array_agg(pg_get_indexdef(indexrelid) ORDER BY 1) FROM pg_index WHERE indrelid = objid),
		(SELECT array_agg(pg_get_triggerdef(x.oid) ORDER BY 1) FROM pg_trigger x
			WHERE tgrelid = objid AND NOT tgisinternal),
		(SELECT array_agg(concat_ws(' ', polname, polcmd, pg_get_expr(polqual, polrelid)) ORDER BY 1)
			FROM pg_policy WHERE polrelid = objid))
	FROM member JOIN pg_class c ON classid = 'pg_class'::regclass AND c.oid = objid
	UNION ALL
	SELECT name, 'privileges', relacl::text
	FROM member JOIN pg_class c ON classid = 'pg_class'::regclass AND c.oid = objid
	UNION ALL
	-- the columns of tables, views and composite types
	SELECT name, 'column ' || attnum, concat_ws(' ', attname, format_type(atttypid, atttypmod), attnotnull,
		pg_get_expr(adbin, adrelid), attcollation::regcollation, attacl, col_description(attrelid, attnum))
	FROM member JOIN pg_attribute a ON attrelid = CASE classid WHEN 'pg_class'::regclass THEN objid
			WHEN 'pg_type'::regclass THEN (SELECT typrelid FROM pg_type WHERE oid = objid) END
		LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
	WHERE attnum > 0 AND NOT attisdropped
	UNION ALL
	SELECT 'the extension', 'definition', concat_ws(' ', extversion, extrelocatable, extnamespace::regnamespace,
		extconfig::regclass[], extcondition, obj_description(oid, 'pg_extension'))
	FROM pg_extension WHERE extname = 'impilo_fdw'
)
SELECT json_object_agg(name || ': ' || what, value) FROM described
SQL

	return %{ JSON::PP->new->decode($rows) };
}

# Returns the differences between an extension of this version that was updated
# from 1.0 and a new one.
sub differences
{
	my ($version) = @_;
	my (%upgraded, %fresh, @differences);

	$node->safe_psql('postgres', "DROP DATABASE IF EXISTS $_") foreach qw(upgraded fresh);
	$node->safe_psql('postgres', "CREATE DATABASE $_") foreach qw(upgraded fresh);
	$node->safe_psql('fresh', "CREATE EXTENSION impilo_fdw VERSION '$version'");
	$node->safe_psql('upgraded', "CREATE EXTENSION impilo_fdw VERSION '1.0'");

	my $error = psql_error($node, "ALTER EXTENSION impilo_fdw UPDATE TO '$version'",
		database => 'upgraded');
	return $error->{message} if $error->{sqlstate} ne '00000';

	%upgraded = objects('upgraded');
	%fresh = objects('fresh');
	foreach my $name (sort keys %{ { %upgraded, %fresh } })
	{
		push @differences, $name
		  if !exists $upgraded{$name}
		  || !exists $fresh{$name}
		  || ($upgraded{$name} // 'null') ne ($fresh{$name} // 'null');
	}
	return @differences;
}

sub extension_file
{
	my ($name, $text) = @_;

	open my $out, '>:raw', "$sharedir/extension/impilo_fdw--$name.sql" or die $!;
	print $out $text;
	close $out;
	return;
}

my $current = $node->safe_psql('postgres',
	"SELECT default_version FROM pg_available_extensions WHERE name = 'impilo_fdw'");
is_deeply([ differences($current) ], [],
	"version $current is the same if it was updated from 1.0");

# Version 9.9: a new function, and an old one for which PUBLIC loses privileges
my $first = PostgreSQL::Test::Utils::slurp_file("$root/sql/impilo_fdw--1.0.sql");
my $function = <<'SQL';
CREATE FUNCTION impilo_nine() RETURNS int LANGUAGE sql IMMUTABLE RETURN 9;
COMMENT ON FUNCTION impilo_nine() IS 'nine';
SQL
my $privileges = "REVOKE EXECUTE ON FUNCTION impilo_fdw_diag() FROM PUBLIC;\n";
extension_file('9.9', $first . $function . $privileges);

is_deeply(
	[ differences('9.9') ],
	[ 'extension "impilo_fdw" has no update path from version "1.0" to version "9.9"' ],
	'a missing script is reported');

extension_file('1.0--9.9', $function =~ s/RETURN 9/RETURN 8/r =~ s/^COMMENT.*\n//mr);
is_deeply(
	[ differences('9.9') ],
	[
		'function impilo_fdw_diag(): privileges',
		'function impilo_nine(): comment',
		'function impilo_nine(): definition'
	],
	'a script without a comment and a REVOKE, and with another body, is reported');

extension_file('1.0--9.9', $privileges);
is_deeply(
	[ differences('9.9') ],
	[ map { "function impilo_nine(): $_" } qw(comment definition privileges) ],
	'a script without the function is reported');

extension_file('1.0--9.9', $function . $privileges);
is_deeply([ differences('9.9') ], [], 'a complete script passes');

done_testing();

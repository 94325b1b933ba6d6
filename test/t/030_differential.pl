# Queries on the foreign tables return the same rows as queries on plain tables
# with the same orders, for every plan.
#
# SQL builds the plain tables from the sandbox's dump and the documented rule for
# columns, so they share no code with the extension.  Queries are generated.
#
#   IMPILO_SEED=N      repeats the queries of a run, which prints its seed
#   IMPILO_QUERIES=N   number of queries (150, or 1500 with SLOW=1)

use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use ImpiloColumns;
use ImpiloTest;

my $seed = $ENV{IMPILO_SEED} // 1 + int(rand(1_000_000));
my $queries = $ENV{IMPILO_QUERIES} // ($ENV{SLOW} ? 1500 : 150);

srand($seed);
note "IMPILO_SEED=$seed IMPILO_QUERIES=$queries";

sub value_of
{
	my ($column) = @_;
	my ($name, $path, $type) = @$column;
	my $keys = "'{" . join(',', @$path) . "}'";
	my $text = "d #>> $keys";

	return "($text) AS $name" if $type eq 'text';
	return "left($text, 10)::date AS $name" if $type eq 'date';
	return "nullif(d #> $keys, 'null') AS $name" if $type eq 'jsonb';
	return "CASE jsonb_typeof(d #> $keys) WHEN 'array' THEN "
	  . "ARRAY(SELECT jsonb_array_elements_text(d #> $keys)) END AS $name"
	  if $type eq 'text[]';
	return "($text)::$type AS $name";
}

sub elements
{
	my ($document, $member, $alias, $position) = @_;
	my $array = "$document -> '$member'";

	return "jsonb_array_elements(CASE jsonb_typeof($array) WHEN 'array' THEN $array END) "
	  . "WITH ORDINALITY AS $alias ($alias, $position)";
}

sub plain_table
{
	my ($relation) = @_;
	my @values = map { value_of($_) } @{ $columns{$relation} };
	my $from = 'plain.dump';

	push @values, "nullif(d, 'null') AS document";
	if ($relation eq 'orders')
	{
		unshift @values, "(d ->> 'id')::bigint AS id";
	}
	elsif ($relation eq 'order_packed_kit_devices')
	{
		unshift @values,
		  "(o.d ->> 'id')::bigint AS order_id, kp::integer AS kit_position, p::integer AS position";
		$from .= ' o, ' . elements('o.d', 'packedKits', 'k', 'kp') . ', '
		  . elements('k', 'devices', 'd', 'p');
	}
	else
	{
		unshift @values,
		  '(o.d ->> \'id\')::bigint AS order_id, p::integer AS position';
		$from .= ' o, ' . elements('o.d', $array{$relation}, 'd', 'p');
	}
	s/\bd #/d.d #/g foreach @values;
	s/nullif\(d,/nullif(d.d,/ foreach @values;
	s/\(d ->>/(d.d ->>/ foreach @values;
	$from =~ s/^plain\.dump$/plain.dump d/;
	return "CREATE VIEW plain.${relation}_unordered AS SELECT "
	  . join(",\n", @values)
	  . "\nFROM $from";
}

#----------------------------------------------------------------------
# Both sides
#----------------------------------------------------------------------

my $api = sandbox(orders => 230);
my $node = cluster();

# members that generated orders do not have
$api->ctl(
	'put',
	'{"id": 9007199254740993, "patient": {"id": 75}, "orderItems": [null, {"item": {"id": 1000}, "count": 1}, {}]}',
	'{"id": 9223372036854775807, "currentStatus": "", "externalOrderIds": ["", null, "ext-1-0", "a\"b\\\\c,{}"], "site": {"id": 1}}',
	'{"id": 0, "currentStatus": "shipped", "patient": {"id": 75, "address": {"city": null}}, "packedKits": [{"devices": null}, {"devices": []}, {"devices": [{"id": 1}, {"id": 1}]}]}',
	'{"id": -5, "currentStatus": "\u006eew \ud83d\ude00", "orderEvents": [{"name": "x", "eventTimestamp": "2024-01-01T00:00:00+02:00"}, {"name": null}]}',
	'{"id": 100001}');

attach($node, $api);
my $dump = $api->ctl('dump');
my $file = PostgreSQL::Test::Utils::tempdir() . '/dump';
PostgreSQL::Test::Utils::append_to_file($file, $dump);

$node->safe_psql('postgres',
	"CREATE SCHEMA plain;\nCREATE SCHEMA common;\n"
	  . "SET timezone = 'UTC';\n"
	  . "CREATE TABLE plain.dump (d jsonb);\n"
	  . "COPY plain.dump FROM '$file' (FORMAT csv, QUOTE E'\\x01', DELIMITER E'\\x02');\n"
	  . join('', map { plain_table($_) . ";\n" } 'orders', @children)
	  . <<'SQL');
CREATE TABLE common.patients AS
	SELECT 'M-' || i AS mrn, CASE WHEN i % 9 > 0 THEN (1 + (i * 37) % 4000)::bigint END AS impilo_id,
		(i % 5) AS ward
	FROM generate_series(1, 150) i;
INSERT INTO common.patients VALUES ('twice', 75, 1), ('twice', 75, 2);
CREATE TABLE common.wanted (order_id bigint, small integer, label text, ids bigint[]);
INSERT INTO common.wanted
	SELECT i * 7 % 300, i % 40, 'w' || i % 6, ARRAY[i, i + 1, NULL, i * 2]
	FROM generate_series(1, 40) i;
INSERT INTO common.wanted VALUES (NULL, NULL, 'none', NULL), (9007199254740993, 3, 'big', '{}'),
	(9007199254740992, 3, 'near', '{9007199254740993}'), (-5, -5, 'minus', '{-5, 0}');
CREATE TABLE common.visits AS SELECT i % 6 * 40::bigint AS order_id, i AS n FROM generate_series(1, 300) i;
ANALYZE common.patients, common.wanted, common.visits;
SQL

# every column of every relation and no others, every row and no others
foreach my $relation ('orders', @children)
{
	my $columns = "FROM pg_attribute WHERE attnum > 0 AND attrelid";
	my $names = "string_agg(quote_ident(attname), ', ' ORDER BY attname)";

	is($node->safe_psql('postgres', "SELECT $names $columns = 'impilo.$relation'::regclass"),
		$node->safe_psql('postgres', "SELECT $names $columns = 'plain.${relation}_unordered'::regclass"),
		"the columns of $relation");

	# in the same order, which whole rows show
	$names = $node->safe_psql('postgres',
		"SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) $columns = 'impilo.$relation'::regclass");
	$node->safe_psql('postgres',
		"SET timezone = 'UTC'; CREATE TABLE plain.$relation AS SELECT $names FROM plain.${relation}_unordered; ANALYZE plain.$relation");
	is($node->safe_psql('postgres', <<SQL), 'f|0|0', "the rows of $relation");
SET timezone = 'UTC';
CREATE TEMP TABLE seen AS SELECT $names FROM impilo.$relation;
SELECT (SELECT count(*) FROM seen) = 0,
	(SELECT count(*) FROM (SELECT $names FROM plain.$relation EXCEPT ALL SELECT $names FROM seen) x),
	(SELECT count(*) FROM (SELECT $names FROM seen EXCEPT ALL SELECT $names FROM plain.$relation) x)
SQL
}

#----------------------------------------------------------------------
# Queries.  A constant is written {{type:value}}: it becomes a literal, or
# a parameter of a prepared statement.
#----------------------------------------------------------------------

sub any { return $_[ int(rand(@_)) ]; }

sub chance { return rand() < $_[0]; }

# a few values of each column, as text
my %samples;

sub sample
{
	my ($relation, $column) = @_;

	$samples{"$relation.$column"} //= [
		split /\x1e/,
		$node->safe_psql('postgres',
			"SELECT string_agg(v, E'\\x1e') FROM (SELECT DISTINCT ${column}::text AS v "
			  . "FROM plain.$relation WHERE $column IS NOT NULL ORDER BY 1 LIMIT 40) x")
	];
	return any(@{ $samples{"$relation.$column"} });
}

sub constant
{
	my ($type, $value) = @_;

	return "{{$type:$value}}";
}

sub some_id
{
	return any(1 .. 12, 7, 100, 229, 230, 231, 240, 0, -5, 100001,
		'9007199254740993', '9007199254740992', '9223372036854775807',
		'9223372036854775806', 5000000001);
}

sub id_list
{
	return join ',', map { some_id() } 0 .. int(rand(6));
}

# a condition on an order's id
sub on_id
{
	my ($id) = @_;

	return any(
		sub { "$id = " . constant('bigint', some_id()) },
		sub { "$id = " . constant('bigint', some_id()) },
		sub { constant('integer', any(1 .. 20)) . " = $id" },
		sub { "$id = " . constant('smallint', any(1 .. 20)) },
		sub { "$id = " . constant('numeric', any('5.0', '5.5', '7')) },
		sub { "$id = " . constant('float8', any('5', '6.5')) },
		sub { "$id = ANY (" . constant('bigint[]', '{' . id_list() . '}') . ')' },
		sub { "$id = ANY (" . constant('integer[]', any('{1,2,2,3}', '{}', '{5,NULL}', '{{1,2},{3,4}}')) . ')' },
		sub { "$id IN (" . join(', ', map { constant('bigint', some_id()) } 0 .. int(rand(4))) . ')' },
		sub { "$id <> ALL (" . constant('bigint[]', '{' . id_list() . '}') . ')' },
		sub { "$id BETWEEN " . constant('bigint', any(1 .. 50)) . ' AND ' . constant('bigint', any(40 .. 240)) },
		sub { my $low = some_id(); "$id BETWEEN " . constant('numeric', $low) . "::bigint AND " . constant('bigint', $low < 9e18 ? $low + any(-1 .. 12, 110) : $low) },
		sub { "$id BETWEEN " . constant('integer', any(1 .. 9)) . ' AND ' . constant('bigint', any(5 .. 15)) },
		sub { "$id >= " . constant('bigint', some_id()) . " AND $id < " . constant('smallint', any(-5, 9, 120, 240)) },
		sub { constant('bigint', any(1 .. 9)) . " < $id AND $id <= " . constant('bigint', any(5 .. 240)) . " AND $id < " . constant('bigint', any(9 .. 100)) },
		sub { "$id IS NOT DISTINCT FROM " . constant('bigint', some_id()) },
		sub { "$id IS NOT DISTINCT FROM NULL::bigint" },
		sub { "$id = ANY (" . constant(any('numeric[]', 'float8[]'), any('{5,6.5,NULL,7}', '{9223372036854775807,0}', '{NaN}', '{100001}')) . ')' },
		sub { "$id = " . constant('numeric', any('9007199254740993', '9007199254740992.5', '1e30', 'NaN', '-5')) },
		sub { "$id = " . constant(any('float8', 'float4'), any('9007199254740992', '9.3e18', 'Infinity', 'NaN', '-5', '7')) },
		sub { "$id = ANY (" . constant('bigint[]', '{' . id_list() . "}") . ") AND $id > " . constant('bigint', some_id()) },
		sub { "($id = " . constant('bigint', some_id()) . " OR $id IN (" . id_list() . ") OR ($id = " . constant('bigint', some_id()) . " AND $id % 2 = 1))" },
		sub { "($id, $id % 7) IN ((" . constant('bigint', any(1 .. 9)) . ", 3), (" . constant('bigint', any(1 .. 9)) . ", " . constant('bigint', any(0 .. 6)) . "), (" . some_id() . ", 1))" },
		sub { "($id = 3 OR $id BETWEEN " . constant('bigint', any(1 .. 99)) . ' AND ' . constant('bigint', any(1 .. 120)) . ')' },
		sub { "$id > " . constant('bigint', some_id()) },
		sub { "$id % 7 = " . constant('bigint', any(0 .. 6)) },
		sub { "$id = " . constant('bigint', any(1 .. 240)) . ' + 1 - 1' },
		sub { "$id IN (SELECT w.order_id FROM wanted w WHERE w.small < " . constant('integer', any(3 .. 40)) . ')' },
		sub { "$id = ANY (ARRAY(SELECT w.order_id FROM wanted w WHERE w.label = " . constant('text', 'w' . any(0 .. 6)) . '))' },
		sub { "$id = (SELECT max(w.order_id) FROM wanted w WHERE w.small = " . constant('integer', any(1 .. 9)) . ')' },
		sub { "$id NOT IN (SELECT w.order_id FROM wanted w WHERE w.order_id IS NOT NULL)" },
		sub { "$id IS NOT NULL" },
		sub { "($id = " . constant('bigint', some_id()) . " OR $id = " . constant('bigint', some_id()) . ')' },
		sub { "($id = " . constant('bigint', some_id()) . ") IS NOT FALSE" },
		sub { "coalesce($id, 0) = " . constant('bigint', some_id()) },
		sub { any('false', 'NULL::boolean', '1 = 0') })->();
}

# a condition on any other column
sub on_column
{
	my ($alias, $relation) = @_;
	my ($name, undef, $type) = @{ any(@{ $columns{$relation} }) };
	my $column = "$alias.$name";
	my $value = sub { constant($type, sample($relation, $name)) };

	return "$column IS NOT NULL" if chance(0.1);
	return "$column IS NULL" if chance(0.1) || !defined sample($relation, $name);
	return any("$column", "NOT $column", "$column IS NOT TRUE", "$column IS DISTINCT FROM true")
	  if $type eq 'boolean';
	return any(
		"jsonb_typeof($column) = 'array'",
		"$column \@> " . constant('jsonb', any('[]', '[{"count": 1}]', '{"a": 1}', '[{"name": "packed"}]')),
		"$column -> 0 IS NOT NULL",
		"$column = " . constant('jsonb', '[]'))
	  if $type eq 'jsonb';
	return any(
		constant('text', 'ext-' . any(1 .. 20) . '-0') . " = ANY ($column)",
		"cardinality($column) > " . constant('integer', any(0, 1)),
		"$column && " . constant('text[]', '{ext-3-0,ext-5-0,ext-7-0}'),
		"$column = '{}'")
	  if $type eq 'text[]';
	return any(
		"$column LIKE " . constant('text', any('%a%', 'C%', '_e%', '%1')),
		"length($column) > " . constant('integer', any(1 .. 8)),
		"lower($column) = lower(" . $value->() . ')',
		"$column > " . $value->(),
		"$column IN (" . join(', ', map { $value->() } 0 .. 2) . ')',
		"$column = " . $value->(),
		"$column <> " . $value->())
	  if $type eq 'text';
	return any(
		"$column = " . $value->(),
		"$column <= " . $value->(),
		"$column > " . $value->(),
		"$column BETWEEN " . $value->() . ' AND ' . $value->(),
		"$column IS DISTINCT FROM " . $value->());
}

sub id_of { return $_[1] eq 'orders' ? "$_[0].id" : "$_[0].order_id"; }

# what makes the rows of a relation distinct
sub key_of
{
	my ($alias, $relation) = @_;

	return "$alias.id" if $relation eq 'orders';
	return "$alias.order_id, $alias.kit_position, $alias.position"
	  if $relation eq 'order_packed_kit_devices';
	return "$alias.order_id, $alias.position";
}

sub condition
{
	my ($alias, $relation) = @_;
	my $one = sub {
		return chance(0.45)
		  ? on_id(id_of($alias, $relation))
		  : on_column($alias, $relation);
	};

	return any(
		$one, $one, $one,
		sub { $one->() . ' AND ' . $one->() },
		sub { '(' . $one->() . ' OR ' . $one->() . ')' },
		sub { 'NOT (' . $one->() . ')' },
		sub { 'true' })->();
}

sub some_columns
{
	my ($alias, $relation, $most) = @_;
	my @names = map { $_->[0] } @{ $columns{$relation} };

	push @names, 'document' if chance(0.1);
	return map { "$alias." . any(@names) } 0 .. int(rand($most));
}

sub relation { return chance(0.45) ? 'orders' : any(@children); }

sub simple
{
	my $r = relation();
	my $sql = 'SELECT '
	  . join(', ', key_of('a', $r), some_columns('a', $r, 4))
	  . " FROM $r a WHERE "
	  . condition('a', $r);

	return $sql if chance(0.3);
	$sql .= ' ORDER BY ' . key_of('a', $r);
	$sql .= any('', ' DESC') . any('', ' LIMIT ' . int(rand(20)), ' OFFSET 3 LIMIT 5');
	return ($sql, 1);
}

sub whole_row
{
	my $r = relation();

	return "SELECT a FROM $r a WHERE " . condition('a', $r);
}

sub counted
{
	my $r = relation();
	my $id = id_of('a', $r);
	my ($column) = some_columns('a', $r, 1);

	return any(
		"SELECT count(*) FROM $r",
		"SELECT count(*) FROM $r a WHERE " . condition('a', $r),
		"SELECT count($column), count(DISTINCT $column) FROM $r a",
		"SELECT count(*) FROM $r a HAVING count(*) > " . constant('bigint', any(1, 200, 1000)),
		"SELECT count(*) + 1, 'x' FROM $r",
		"SELECT count(*) FROM $r GROUP BY ()",
		"SELECT count(*) FILTER (WHERE true), count(DISTINCT $id) FROM $r a",
		"SELECT 1 FROM $r a HAVING count($id) > " . constant('bigint', any(1, 200, 1000)) . " AND count(*) < (SELECT max(w.small) * 20 FROM wanted w)",
		"SELECT w.label, (SELECT count(*) FROM $r a HAVING count(*) > w.small * 6) FROM wanted w",
		"SELECT count(*) FROM $r a, wanted w",
		"SELECT (SELECT count(*) FROM orders), (SELECT count(*) FROM $r)",
		"SELECT count(1) FROM (SELECT 1 FROM $r LIMIT 9) x",
		"SELECT w.label, (SELECT count(*) FROM orders) FROM wanted w",
		"SELECT EXISTS (SELECT FROM $r a WHERE " . condition('a', $r) . ')');
}

sub grouped
{
	my $r = relation();
	my ($group, $other) = some_columns('a', $r, 1), some_columns('a', $r, 1);
	my $id = id_of('a', $r);
	my $sum = any(
		'count(*)',
		"sum($id)",
		"min($id), max($id)",
		"count(*) FILTER (WHERE " . condition('a', $r) . ')',
		"array_agg($id ORDER BY $id)",
		"count(DISTINCT $id % 10)");
	my $sql = "SELECT $group, $sum FROM $r a WHERE "
	  . condition('a', $r);

	return $sql . any(
		" GROUP BY 1",
		" GROUP BY 1 HAVING count(*) > " . constant('bigint', any(1, 3)),
		" GROUP BY ROLLUP (1)") =~ s/ROLLUP \(1\)/ROLLUP ($group)/r;
}

sub joined
{
	my $kind = any('JOIN', 'JOIN', 'LEFT JOIN', 'RIGHT JOIN', 'FULL JOIN');
	my ($a, $b) = ('orders', any(@children));

	($a, $b) = ($b, $a) if chance(0.3);
	($a, $b) = (any(@children), any(@children)) if chance(0.15);
	my $on = id_of('a', $a) . ' = ' . id_of('b', $b);

	$on .= ' AND ' . condition('b', $b) if $kind ne 'FULL JOIN' && chance(0.3);
	return 'SELECT '
	  . join(', ', key_of('a', $a), key_of('b', $b), some_columns('a', $a, 2), some_columns('b', $b, 2))
	  . " FROM $a a $kind $b b ON $on WHERE "
	  . condition('a', $a)
	  . (chance(0.3) ? ' AND ' . condition('b', $b) : '');
}

sub local_join
{
	my $r = relation();
	my $id = id_of('a', $r);
	my $kind = any('JOIN', 'LEFT JOIN', 'RIGHT JOIN');
	my $key = key_of('a', $r);
	my ($column) = some_columns('a', $r, 1);

	return any(
		"SELECT w.label, $key, $column FROM wanted w $kind $r a ON $id = w.order_id WHERE " . any('true', "w.small < " . constant('integer', any(5, 20)), condition('a', $r)),
		"SELECT w.label, $key, $column FROM wanted w $kind $r a ON w.small = $id",
		"SELECT w.label, $key FROM wanted w $kind $r a ON $id = ANY (w.ids)",
		"SELECT p.mrn, a.id FROM patients p $kind orders a ON a.patient_id = p.impilo_id WHERE " . any('true', 'p.ward = ' . constant('integer', any(0 .. 4))),
		"SELECT p.mrn, a.id, b.position FROM patients p JOIN orders a ON a.patient_id = p.impilo_id LEFT JOIN order_items b ON b.order_id = a.id",
		"SELECT w.label, $key FROM wanted w $kind $r a ON $id = w.order_id AND a.document IS NOT NULL JOIN patients p ON p.ward = w.small",
		"SELECT a.id, w.label FROM orders a CROSS JOIN wanted w WHERE a.id = w.order_id + w.small",
		"SELECT v.n, $key FROM visits v $kind $r a ON $id = v.order_id" . any('', ' WHERE v.n % 2 = 0'),
		"SELECT v.n, $key FROM visits v $kind $r a ON $id = v.order_id",
		"SELECT DISTINCT w.label, a.current_status FROM wanted w JOIN orders a ON a.id = w.order_id AND a.id > " . constant('bigint', some_id()));
}

sub sub_query
{
	my ($r, $s) = (relation(), relation());
	my ($a, $b) = (id_of('a', $r), id_of('b', $s));
	my $where = condition('b', $s);
	my $key = key_of('a', $r);

	return any(
		"SELECT $key FROM $r a WHERE EXISTS (SELECT FROM $s b WHERE $b = $a AND $where)",
		"SELECT $key FROM $r a WHERE NOT EXISTS (SELECT FROM $s b WHERE $b = $a AND $where)",
		"SELECT $key FROM $r a WHERE $a IN (SELECT $b FROM $s b WHERE $where)",
		"SELECT $key FROM $r a WHERE $a NOT IN (SELECT $b FROM $s b WHERE $where)",
		"SELECT w.label, (SELECT count(*) FROM $s b WHERE $b = w.order_id) FROM wanted w",
		"SELECT w.label, (SELECT max($b) FROM $s b WHERE $b < w.order_id AND $where) FROM wanted w",
		"SELECT $key, (SELECT count(*) FROM $s b WHERE $b = $a) FROM $r a WHERE " . condition('a', $r),
		"SELECT w.label, x.* FROM wanted w, LATERAL (SELECT " . key_of('b', $s) . " FROM $s b WHERE $b = w.order_id ORDER BY 1, 2 LIMIT 2) x" =~ s/ORDER BY 1, 2/$s eq 'orders' ? 'ORDER BY 1' : 'ORDER BY ' . key_of('b', $s)/er,
		"SELECT v.n, (SELECT count(*) FROM $s b WHERE $b = v.order_id) FROM visits v",
		"SELECT w.label, x.n FROM wanted w LEFT JOIN LATERAL (SELECT count(*) AS n FROM $s b WHERE $b = ANY (w.ids)) x ON true",
		"SELECT w.label FROM wanted w WHERE w.order_id IN (SELECT $b FROM $s b WHERE $where) OR EXISTS (SELECT FROM $s b WHERE $b = w.small)",
		"SELECT $key FROM $r a WHERE $a > ALL (SELECT $b FROM $s b WHERE $b < 50)",
		"SELECT $key FROM (SELECT * FROM $r WHERE true OFFSET 0) a WHERE " . condition('a', $r));
}

sub with_query
{
	my ($r, $s) = (relation(), relation());
	my $how = any('', 'MATERIALIZED', 'NOT MATERIALIZED');
	my ($a, $b) = (id_of('a', $r), id_of('b', $s));

	return any(
		"WITH x AS $how (SELECT $a AS i FROM $r a WHERE " . condition('a', $r) . ') SELECT x.i, y.i FROM x LEFT JOIN x y ON y.i = x.i - 1',
		"WITH x AS $how (SELECT order_id AS i FROM wanted) SELECT x.i, " . key_of('b', $s) . " FROM x JOIN $s b ON $b = x.i",
		'WITH RECURSIVE x (i) AS (SELECT ' . constant('bigint', any(1 .. 5)) . " UNION ALL SELECT x.i * 2 FROM x JOIN orders b ON b.id = x.i WHERE x.i < 300) SELECT i FROM x",
		"WITH x AS $how (SELECT $a AS i, count(*) AS n FROM $r a GROUP BY 1) SELECT x.*, " . key_of('b', $s) . " FROM x JOIN $s b ON $b = x.i WHERE " . condition('b', $s));
}

sub window
{
	my $r = relation();
	my ($column) = some_columns('a', $r, 1);
	my $key = key_of('a', $r);

	return "SELECT $key, "
	  . any(
		"row_number() OVER (ORDER BY $key)",
		"count(*) OVER (PARTITION BY $column)",
		"lag($column) OVER (ORDER BY $key)",
		"sum(" . id_of('a', $r) . ") OVER (ORDER BY $key ROWS 3 PRECEDING)",
		"dense_rank() OVER (ORDER BY $column)")
	  . " FROM $r a WHERE "
	  . condition('a', $r);
}

sub set_operation
{
	my ($r, $s) = (relation(), relation());

	return 'SELECT ' . id_of('a', $r) . " FROM $r a WHERE " . condition('a', $r)
	  . any(' UNION ', ' UNION ALL ', ' INTERSECT ', ' EXCEPT ', ' EXCEPT ALL ', ' INTERSECT ALL ')
	  . any(
		'SELECT ' . id_of('b', $s) . " FROM $s b WHERE " . condition('b', $s),
		'SELECT order_id FROM wanted');
}

sub self_join
{
	my $r = relation();
	my ($a, $b) = (id_of('a', $r), id_of('b', $r));

	return any(
		"SELECT a.id, b.id FROM orders a JOIN orders b ON a.patient_id = b.patient_id AND a.id < b.id",
		"SELECT $a, $b FROM $r a JOIN $r b ON $b = $a - 1 WHERE " . condition('a', $r),
		"SELECT count(*) FROM $r a JOIN $r b ON $a = $b",
		"SELECT a.current_status, count(*) FROM orders a JOIN order_items b ON b.order_id = a.id JOIN order_events c ON c.order_id = a.id LEFT JOIN order_devices d ON d.order_id = a.id AND d.item_id = b.item_id GROUP BY 1",
		"SELECT a.id FROM orders a WHERE (a.id, a.current_status) IN (SELECT b.id, b.current_status FROM orders b WHERE b.id < 20)");
}

# rows of local tables locked or changed by what is in foreign ones; a cursor
# cannot do that
sub changing
{
	my $r = relation();
	my $id = id_of('a', $r);
	my $key = key_of('a', $r);
	my $where = condition('a', $r);
	my ($column) = some_columns('a', $r, 1);

	return (
		any(
			"SELECT w.label, $key, $column FROM wanted w JOIN $r a ON $id = w.order_id WHERE $where FOR UPDATE OF w",
			"SELECT p.mrn, a.id, a FROM patients p LEFT JOIN orders a ON a.patient_id = p.impilo_id FOR SHARE OF p",
			"UPDATE visits v SET n = v.n + 1000 FROM orders a WHERE a.id = v.order_id RETURNING v.n, a.current_status, a.document",
			"UPDATE patients p SET ward = (SELECT count(*) FROM orders a WHERE a.patient_id = p.impilo_id) RETURNING p.mrn, p.ward",
			"DELETE FROM visits v USING $r a WHERE $id = v.order_id AND $where RETURNING v.n, v.order_id",
			"INSERT INTO visits (order_id, n) SELECT $id, 7 FROM $r a WHERE $where RETURNING order_id",
			"MERGE INTO visits v USING (SELECT DISTINCT $id AS i FROM $r a WHERE $where) x ON x.i = v.order_id WHEN MATCHED THEN UPDATE SET n = -1 WHEN NOT MATCHED THEN DO NOTHING",
			"DELETE FROM wanted w WHERE NOT EXISTS (SELECT FROM $r a WHERE $id = w.order_id) RETURNING w.label"),
		0, 1);
}

sub question
{
	my $make = any(\&simple, \&simple, \&simple, \&counted, \&grouped, \&joined, \&joined,
		\&local_join, \&local_join, \&sub_query, \&sub_query, \&with_query,
		\&window, \&set_operation, \&self_join, \&whole_row, \&changing);

	return $make->();
}

my $constant = qr/\{\{([a-z0-9\[\]]+):(.*?)\}\}(?!\})/s;

sub with_literals
{
	my ($sql) = @_;

	return $sql =~ s/$constant/quote_literal($2) . "::$1"/gser;
}

# (PREPARE, EXECUTE)
sub prepared
{
	my ($sql) = @_;
	my (@types, @values);

	$sql =~ s/$constant/push @types, $1; push @values, quote_literal($2); '$' . @types/gse;
	return ("PREPARE q" . (@types ? '(' . join(', ', @types) . ')' : '') . " AS $sql",
		'EXECUTE q' . (@values ? '(' . join(', ', @values) . ')' : ''));
}

#----------------------------------------------------------------------
# Running the queries
#----------------------------------------------------------------------

my $plain = session($node);
my $foreign = session($node);

$_->query("SET timezone = 'UTC'; SET jit = off; SET statement_timeout = '60s';\n\\pset null '~'")
  foreach ($plain, $foreign);
$plain->query('SET search_path = plain, common');
$foreign->query('SET search_path = impilo, common');

my %taken;

sub rows
{
	my ($text, $ordered) = @_;

	return $text if $ordered;
	return join "\n", sort split /\n/, $text;
}

# the planner's switches, which do not change the result
sub switches
{
	my @set = map { "SET enable_$_ = " . (chance(0.65) ? 'on' : 'off') }
	  qw(nestloop hashjoin mergejoin memoize material hashagg sort);

	# where lookahead is forced, the other ways to join are off
	push @set, 'SET impilo_fdw.enable_lookahead = ' . any('on', 'on', 'off');
	push @set, 'SET enable_hashjoin = off; SET enable_mergejoin = off' if chance(0.3);
	push @set, 'SET work_mem = ' . quote_literal(any('64kB', '4MB'));
	push @set, 'SET plan_cache_mode = ' . any('auto', 'force_generic_plan', 'force_custom_plan');
	push @set, 'SET from_collapse_limit = ' . any(1, 8);
	return join '; ', @set;
}

sub ask_foreign
{
	my ($sql, $changing) = @_;
	my $way = any('plain', 'plain', 'prepared', 'prepared', $changing ? 'plain' : 'cursor');
	my $answer;

	if ($way eq 'prepared')
	{
		my ($prepare, $execute) = prepared($sql);
		$foreign->query($prepare);
		return $foreign->error if $foreign->error->{sqlstate} ne '00000';
		$answer = $foreign->query("BEGIN;\n$execute;\nROLLBACK") foreach 1 .. 2;
		my $error = $foreign->error;
		$foreign->query("DEALLOCATE q");
		return ($error, $answer, "$prepare; $execute");
	}
	$sql = with_literals($sql);
	if ($way eq 'cursor')
	{
		$answer = $foreign->query("BEGIN; DECLARE c SCROLL CURSOR FOR $sql;\n"
			  . "MOVE 3 IN c; MOVE BACKWARD ALL IN c; FETCH ALL FROM c");
		my $error = $foreign->error;
		$foreign->query('ROLLBACK');
		return ($error, $answer, "cursor for $sql");
	}
	$answer = $foreign->query("BEGIN;\n$sql;\nROLLBACK");
	return ($foreign->error, $answer, $sql);
}

my $asked = 0;
my $failed = 0;

for my $number (1 .. $queries)
{
	my ($question, $ordered, $changing) = question();
	my $sql = with_literals($question);
	my $expected = rows($plain->query("BEGIN;\n$sql;\nROLLBACK"), $ordered);
	my $wrong = $plain->error;

	if ($wrong->{sqlstate} ne '00000')
	{
		fail("query $number can be run");
		diag("$sql\n$wrong->{message}");
		next;
	}
	if ($number % 20 == 1)
	{
		# several page sizes
		$node->safe_psql('postgres',
			'ALTER SERVER impilo OPTIONS (' . ($number == 1 ? 'ADD' : 'SET') . " fetch_size '" . any(17, 100, 250)
			  . "', " . ($number == 1 ? 'ADD' : 'SET') . " max_concurrency '" . any(1, 3, 8) . "')");
	}
	for my $time (1 .. 2)
	{
		my $switches = switches();
		$foreign->query($switches);
		my ($error, $answer, $statement) = ask_foreign($question, $changing);
		my $got = rows($answer // '', $ordered);

		$asked++;
		$taken{$_}++
		  foreach $foreign->query("EXPLAIN (COSTS OFF) $sql") =~
		  /(Route: \w+|Nested Loop|Hash Join|Merge Join|Memoize|Materialize|Lookahead)/g;
		next if $error->{sqlstate} eq '00000' && $got eq $expected;
		$failed++;
		fail("query $number has the same result");
		diag("$switches\n$statement\n$error->{sqlstate} $error->{message}\n"
			  . "expected:\n" . substr($expected, 0, 600) . "\ngot:\n" . substr($got, 0, 600));
	}
	last if $failed > 10;
}

is($failed, 0, "$asked queries have the same results (seed $seed)");
note join ', ', map { "$_ $taken{$_}" } sort keys %taken;
# only a long run is certain to contain rare plans
ok($taken{$_}, "plans had $_")
  foreach grep { $queries >= 100 } 'Route: List', 'Route: Lookup', 'Nested Loop', 'Hash Join', 'Lookahead';
ok($taken{$_}, "plans had $_")
  foreach grep { $queries >= 500 } 'Route: Count', 'Merge Join', 'Memoize';

done_testing();

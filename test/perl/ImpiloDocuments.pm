# ImpiloDocuments: orders and pages of a broken or hostile API.
#
# Documents are bytes.  A document begins as a correct order.  Either some of its
# values or members are replaced by unexpected ones, so that it usually remains
# well-formed, or its bytes are cut, flipped and mixed.  Uses rand(): srand()
# reproduces the documents.
#
#   hostile_order(ID)      an order with that id, unless the id is replaced
#   page_of(ORDERS)        a correct page of these
#   hostile_page(ORDERS)   a page with wrong members, or something else
#   mutated(BYTES, OTHER)  changed bytes, with parts of the other inserted
#   shape_of(BYTES)        depth of containers, and whether a member is repeated
#   $MARK                  is part of most strings, and must not appear in
#                          messages

package ImpiloDocuments;

use strict;
use warnings;
no warnings 'qw';

use Exporter 'import';
use JSON::PP ();

our @EXPORT =
  qw(hostile_order page_of hostile_page mutated shape_of $MARK);
our $MARK = 'Zyxwyn';

my $json = JSON::PP->new->canonical->allow_nonref->ascii;

sub any { return $_[ int(rand(@_)) ]; }

sub chance { return rand() < $_[0]; }

#----------------------------------------------------------------------
# Unexpected values
#----------------------------------------------------------------------

my @plain = (
	qw(null true false 0 -0 1 -1 7 1.0 1.5 1e3 -1E+2 100e-2 0.1e1 1e400 -1e-400
	  1e131071 1e131072 1e-16383 1e-16384 0e99999 -0.0 1e999999999999
	  2147483647 2147483648 32768 9223372036854775807 9223372036854775808
	  -9223372036854775808 -9223372036854775809 18446744073709551616
	  123456789012345678901234567890.123456789 0.1000 [] {} [[]] [{}] [null]
	  {"":null} {"":{"":[]}} [1,"a",null,{}] {"a":1,"a":2} {"id":1,"id":2}
	  [[1,2],[3,4]] {"item":{"id":1},"item":[]} {"id":null}),
	map { "\"$_\"" } '', ' ', $MARK, "$MARK\\u0000", '\u0000', '\ud800',
	"$MARK\\udc00\\ud800", '\ud83d\ude00', '\ud83d', "\xff\xfe$MARK", "\xc0\x80",
	"\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82", "\xc3\xa9\xe4\xba\xac",
	"\xef\xbf\xbf", '\u2028\u2029', "\x7f", '\\\\\\"\\/\\b\\f\\n\\r\\t', 'NaN', 'Infinity',
	'infinity', 'today', 'now', 'epoch', 'allballs', '2024-02-30', '1980-01-01T00:00:00Z',
	'1980-01-01T24:00:00.0000001+23:59', '0001-01-01', '9999-12-31T23:59:60-23:59',
	'99999-01-01', '2024-05-06T07:08:09.123456789123Z', 'true', 't', 'yes', 'on',
	'1', ' 1', '1 ', '0x10', '1e3', '{1,2}', "{$MARK", '{{1},{2,3}}', '[0:1]={1,2}', '\\\\x00zz',
	"'; DROP TABLE x --", '%s%n%s%1$s', '10.0.0.1/8', '<a><b/></a>', "<$MARK", '(1,2)', '[1,5)',
	'1 day', 'P1Y', '$1.00', '16/B374D848', "a b:1A \\u0027$MARK",
	'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 'pg_class', 'happy', $MARK x 2000,
	"\xc3\xa9" x 3000, '\u00e9' x 2000);

sub nested
{
	my ($depth) = @_;

	return any(
		'[' x $depth . ']' x $depth,
		'{"a":' x $depth . '1' . '}' x $depth,
		'[{"a":' x ($depth / 2) . '[]' . '}]' x ($depth / 2));
}

sub hostile_value
{
	my $dice = rand();

	return any(@plain) if $dice < 0.9;
	return nested(any(5, 20, 50, 55, 56, 57, 58, 59, 60, 61, 62, 63, 64, 65, 100, 1000))
	  if $dice < 0.96;
	return any(
		sub { '"' . $MARK x 50_000 . '"' },
		sub { '[' . join(',', 1 .. 3000) . ']' },
		sub { '[' . join(',', ('{}') x 1000) . ']' },
		sub { '{' . join(',', map { "\"k$_\":$_" } 1 .. 1000) . '}' },
		sub { '9' x 5000 },
		sub { '0.' . '3' x 20_000 },
		sub { '1' . '0' x 140_000 })->();
}

#----------------------------------------------------------------------
# Orders.  A tree of ['object', NAME, VALUE, ...], ['array', VALUE, ...] and
# bytes, so that a name can occur twice and a value can be any bytes.
#----------------------------------------------------------------------

my $address = {
	map { $_ => "$MARK $_" }
	  qw(lineOne lineTwo lineThree city state zipCode country note)
};
my $site = {
	id => 3,
	name => $MARK,
	active => JSON::PP::true,
	phoneNumber => '1',
	address => $address
};
my $patient = {
	id => 5,
	externalIdentifier => "M-$MARK",
	firstName => $MARK,
	lastName => "van $MARK",
	dateOfBirth => '1980-02-29',
	email => "$MARK\@test",
	phoneNumber => '+1',
	archived => JSON::PP::false,
	enrolled => JSON::PP::true,
	sex => 'other',
	address => $address,
	site => $site
};
my $item = {
	id => 1000,
	name => 'scale',
	model => 'm',
	sku => '007',
	orderable => JSON::PP::true,
	manufacturer => { id => 2, name => 'x' }
};
my $kit = {
	id => 1001,
	name => 'kit',
	archived => JSON::PP::false,
	kitItems => [ { item => $item, count => 2 } ]
};
my $device = {
	id => 9,
	item => $item,
	currentStatus => 'withPatient',
	used => JSON::PP::true,
	currentPatient => $patient,
	site => $site,
	lastHealthCheck => '2024-01-01T00:00:00Z',
	externalIdentifier => $MARK,
	disabledReadings => JSON::PP::false,
	deviceIdentifiers => [ { type => 'imei', value => $MARK } ],
	deviceEvents => [ { type => 'x', eventTimestamp => '2024-01-01T00:00:00Z' } ]
};
my %order = (
	externalOrderIds => [ 'a', $MARK ],
	patient => $patient,
	site => undef,
	currentStatus => 'shipped',
	orderItems => [ { item => $item, count => 2 }, { item => $item, count => 1 } ],
	orderKits => [ { kit => $kit, count => 1 } ],
	orderEvents => [ { name => 'created', eventTimestamp => '2024-01-01T00:00:00.123Z' } ],
	trackingNumbers => [ { carrier => 'x', value => $MARK } ],
	devices => [$device],
	packedKits => [ { kit => $kit, devices => [$device] }, { kit => $kit, devices => [] } ],
	shippingOption => 'overnight',
	orderNotes => [
		{
			note => $MARK,
			createdAt => '2024-01-01T00:00:00Z',
			createdBy => { id => 4, firstName => $MARK, lastName => 'y', email => 'z' }
		}
	],
	emailLabel => JSON::PP::true,
	returnDevices => [],
	returnItems => [ { item => $item } ],
	returnPackedKits => undef);

sub tree
{
	my ($value) = @_;

	return [ 'array', map { tree($_) } @$value ] if ref $value eq 'ARRAY';
	return [ 'object', map { ($json->encode($_), tree($value->{$_})) } sort keys %$value ]
	  if ref $value eq 'HASH';
	return $json->encode($value);
}

sub text
{
	my ($node) = @_;

	return $node unless ref $node;
	my ($kind, @inside) = @$node;

	return '[' . join(',', map { text($_) } @inside) . ']' if $kind eq 'array';
	return '{'
	  . join(',', map { $inside[ 2 * $_ ] . ':' . text($inside[ 2 * $_ + 1 ]) } 0 .. $#inside / 2)
	  . '}';
}

# Returns references to all values of a tree.
sub values_of
{
	my ($node) = @_;
	my $step = $node->[0] eq 'array' ? 1 : 2;
	my @found;

	for (my $i = $step; $i < @$node; $i += $step)
	{
		push @found, [ $node, $i ];
		push @found, values_of($node->[$i]) if ref $node->[$i];
	}
	return @found;
}

# Replaces the value at one place of a tree, or repeats or removes a member.
sub spoil
{
	my ($tree) = @_;
	my ($parent, $at) = @{ any(values_of($tree)) };
	my $step = $parent->[0] eq 'array' ? 1 : 2;
	my $dice = rand();

	if ($dice < 0.7)
	{
		$parent->[$at] = hostile_value();
	}
	elsif ($dice < 0.8 && $step == 2)
	{
		# the name again, before or after it
		splice @$parent, any(1, $at + 1), 0, $parent->[ $at - 1 ], hostile_value();
	}
	elsif ($dice < 0.85 && $step == 2)
	{
		$parent->[ $at - 1 ] = any('""', '"\u0000"', '"\ud800"', '"id"', "\"\xff\"",
			'"\u0069d"', "\"$MARK\"", '"a/b~c"', '"' . 'n' x 3000 . '"');
	}
	elsif ($dice < 0.92)
	{
		splice @$parent, $at - $step + 1, $step;
	}
	else
	{
		# another part of the same tree
		my ($other, $there) = @{ any(values_of($tree)) };
		$parent->[$at] = text($other->[$there]);
	}
	return;
}

sub hostile_order
{
	my ($id) = @_;
	my $tree = tree({ %order, id => $id });
	my $spoils = any(0, 1, 1, 1, 2, 3, 8);

	# the id is the first member, as in the API
	my @members = splice @$tree, 1;
	for (my $i = 0; $i < @members; $i += 2)
	{
		if ($members[$i] eq '"id"')
		{
			unshift @members, splice @members, $i, 2;
			last;
		}
	}
	push @$tree, @members;
	spoil($tree) for 1 .. $spoils;
	return text($tree);
}

#----------------------------------------------------------------------
# Pages
#----------------------------------------------------------------------

sub page_of
{
	my @orders = @_;

	return '{"content":[' . join(',', @orders) . '],"page":1,"size":250,"total":'
	  . @orders . ',"first":true,"last":true}';
}

sub hostile_page
{
	my @orders = @_;
	my $tree = [
		'object', '"content"', [ 'array', @orders ], '"page"', 1, '"size"', 250,
		'"total"', scalar @orders, '"first"', 'true', '"last"', 'true'
	];
	my $at;

	return hostile_value() if chance(0.05);
	return '[' . join(',', @orders) . ']' if chance(0.03);
	for (1 .. any(1, 1, 2))
	{
		$at = 2 * any(1 .. $#$tree / 2);
		if (chance(0.7)) { $tree->[$at] = hostile_value() }
		elsif (chance(0.5)) { splice @$tree, $at - 1, 2 }
		else { splice @$tree, 1, 0, $tree->[ $at - 1 ], hostile_value() }
	}
	return text($tree);
}

#----------------------------------------------------------------------
# Bytes
#----------------------------------------------------------------------

my @pieces = (
	split(//, '{}[],:"\\0-.e'),
	"\0", "\x1f", "\x80", "\xff", "\n", ' ', '\u', '\ud8', 'null', 'tru', '""', '},{', '],[', '"id":', "\xef\xbb\xbf");

sub mutated
{
	my ($bytes, $other) = @_;

	for (1 .. any(1, 1, 1, 2, 5))
	{
		my $at = int(rand(1 + length $bytes));
		my $length = any(1, 1, 2, 5, 50, 500);
		my $dice = rand();

		if ($dice < 0.15) { $bytes = substr $bytes, 0, $at }
		elsif ($dice < 0.35)
		{
			next if $at >= length $bytes;
			substr($bytes, $at, 1) = chr(ord(substr $bytes, $at, 1) ^ 1 << int(rand(8)));
		}
		elsif ($dice < 0.6) { substr($bytes, $at, 0) = any(@pieces) }
		elsif ($dice < 0.75) { substr($bytes, $at, $length) = '' }
		elsif ($dice < 0.9)
		{
			substr($bytes, $at, any(0, $length)) =
			  substr($other, int(rand(length $other)), $length);
		}
		else { substr($bytes, $at, 0) = substr($bytes, $at, $length) x any(1, 2, 30) }
	}
	return $bytes;
}

# Returns the depth of containers, and whether a member's name is repeated or
# escaped.
sub shape_of
{
	my ($bytes) = @_;
	my ($depth, $repeated, @open) = (0, 0);

	while ($bytes =~ /([\[{])|([\]}])|"((?:[^"\\]++|\\.)*+)"(\s*:)?/gs)
	{
		if (defined $1)
		{
			push @open, {};
			$depth = @open if @open > $depth;
		}
		elsif (defined $2) { pop @open }
		elsif (defined $4 && @open)
		{
			$repeated = 1 if $open[-1]{$3}++ || $3 =~ /\\/;
		}
	}
	return ($depth, $repeated);
}

1;

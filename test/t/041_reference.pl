# docs/reference.md and docs/errors.md name what the code has, and nothing else:
# relations, options with their places and defaults, settings, functions with
# their arguments, SQLSTATEs.  (test/style.sh compares the labels of EXPLAIN.)

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use ImpiloTest;

my $root = "$FindBin::RealBin/../..";
my $node = cluster();

sub slurp { return PostgreSQL::Test::Utils::slurp_file($_[0]); }

# Returns the cells of the rows of the tables below a heading of a page.
sub table
{
	my ($page, $heading) = @_;
	my ($section) = slurp("$root/docs/$page") =~ /^## \Q$heading\E\n(.*?)(?=^## |\z)/ms
	  or die "$page has no section \"$heading\"";
	my @rows = map { [ split / *(?<!\\)\| */, s/^\| *//r, -1 ] } $section =~ /^(\|.*)\|$/mg;

	return grep { $_->[0] !~ /^-+$/ } @rows[ 1 .. $#rows ];
}

# Returns the texts between backticks.
sub literals { return map { /`([^`]+)`/g } @_; }

sub same
{
	my ($documented, $code, $what) = @_;

	return is_deeply([ sort @$documented ], [ sort @$code ], "$what are those of the code")
	  || diag(explain([ sort @$documented ], [ sort @$code ]));
}

sub rows { return split /\n/, $node->safe_psql('postgres', $_[0]); }

# Relations
same([ map { literals($_->[0]) } table('reference.md', 'Relations') ],
	[ rows('SELECT DISTINCT relation FROM impilo_data_dictionary()') ], 'relations');

# Options
my $options_c = slurp("$root/src/catalog/options.c");
my %value = ($options_c =~ /^#define (\w+) +"([^"]*)"/mg);
my ($options) = $options_c =~ /^static const Option options\[\] = \{(.*?)^\};/ms;
my %place = (ON_SERVER => 'server', ON_TABLE => 'table', ON_COLUMN => 'column', ON_MAPPING => 'user mapping',
	ON_EITHER => 'server, table');
my @options;
while ($options =~ /(?:OPTION\(|\{")(\w+)"?,(?: 0,)? (ON_\w+), \w+(?:, ("[^"]*"|[A-Z_]+))?/g)
{
	my ($name, $places, $default) = ($1, $2, $3 // 'NULL');

	$default = $value{$default} // $default;
	push @options, join ' | ', $place{$places}, $name, $default =~ s/"//gr;
}
cmp_ok(scalar @options, '>', 20, 'options are found in the code');
same(
	[
		map { join ' | ', $_->[0], literals($_->[1]), literals($_->[2]) ? literals($_->[2]) : 'NULL' }
		  grep { $_->[1] ne '`on_invalid`' } table('reference.md', 'Options')
	],
	[ grep { !/ on_invalid / } @options ], 'options, their places and defaults');
my ($words) = $options_c =~ /on_invalid_values\[\] = \{"(\w+)"/;
is((grep { $_->[1] eq '`on_invalid`' } table('reference.md', 'Options'))[0][2], "`$words`",
	'the default of on_invalid is its first value');

# Settings
same(
	[ map { join ' ', literals(@$_[ 0, 1 ]) } table('reference.md', 'Settings') ],
	[ rows("LOAD 'impilo_fdw'; SELECT name || ' ' || coalesce(nullif(boot_val, ''), quote_literal('')) FROM pg_settings WHERE name LIKE 'impilo\\_fdw.%'") ],
	'settings and their defaults');

# Functions: "name(argument, argument = default)"
my %functions;
foreach (rows(q{SELECT proname || '(' || coalesce(pg_get_function_arguments(p.oid), '') || ')'
	FROM pg_proc p JOIN pg_depend d ON d.objid = p.oid AND d.classid = 'pg_proc'::regclass AND d.deptype = 'e'
	JOIN pg_extension e ON e.oid = d.refobjid AND d.refclassid = 'pg_extension'::regclass
	WHERE extname = 'impilo_fdw'}))
{
	my ($name, $arguments) = /^(\w+)\((.*)\)$/;
	my @arguments;

	foreach my $argument (grep { !/^OUT / } split /, /, $arguments)
	{
		my ($label, $default) = $argument =~ /^(?:INOUT )?(\w+)[^']*?(?: DEFAULT (.*?)(?:::\w+)?)?$/;
		push @arguments, defined $default ? "$label = $default" : $label;
	}
	$functions{$name} = join ', ', @arguments;
}
my $reference = slurp("$root/docs/reference.md");
my ($internal) = $reference =~ /^(Other functions of the extension .*?)\n\n/ms;
my %internal = map { $_ => 1 } literals($internal);
same([ grep { !/\(…\)|\(\xe2/ } map { literals($_->[0]) } table('reference.md', 'Functions'), table('mirror.md', 'Functions') ],
	[ map { "$_($functions{$_})" } grep { !$internal{$_} } keys %functions ],
	'functions and their arguments');
is(join(' ', grep { !exists $functions{$_} } sort keys %internal), '', 'the other functions exist');
like($reference, qr/\b$_\b/, "docs/reference.md names $_") foreach sort keys %functions;

# SQLSTATEs.  An error code is not raised where it is compared or names a class.
my $share = `pg_config --sharedir`;
chomp $share;
my (%code, %condition, %raised);
foreach (split /\n/, slurp("$share/errcodes.txt"))
{
	next unless /^(\w{5}) +[EWS] +(\w+)(?: +(\w+))?/;
	$code{$2} = $1;
	$condition{$3} = $1 if $3;
}
foreach my $file (glob "$root/src/*.[ch] $root/src/*/*.[ch]")
{
	my $text = slurp($file) =~ s{/\*.*?\*/}{}gsr;

	$text =~ s/ERRCODE_TO_CATEGORY\(ERRCODE_\w+\)|[!=]= *ERRCODE_\w+//g;
	while ($text =~ /\b(ERRCODE_\w+)|MAKE_SQLSTATE\(([^)]*)\)/g)
	{
		my $sqlstate = defined $2 ? $2 =~ tr/', //dr : $code{$1};
		$raised{$sqlstate} = 1 if defined $sqlstate;
	}
}
foreach my $script (glob "$root/sql/impilo_fdw--*.sql")
{
	$raised{ $condition{$_} // die "no condition $_" } = 1 foreach slurp($script) =~ /ERRCODE = '(\w+)'/g;
}
# raised by PostgreSQL
$raised{57014} = 1;
same([ map { literals($_->[0]) } table('errors.md', 'SQLSTATEs') ], [ keys %raised ], 'SQLSTATEs');

done_testing();

# The statements of README.md and docs/ give the results that are printed there.
#
# A block marked "sql" is run, in the order of the document and in one session.
# A block marked "text" directly after it is its result.  Blocks marked
# "postgresql" are not run: they need an account.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use ImpiloTest;

my $root = "$FindBin::RealBin/../..";

# Returns the blocks of a document: [SQL, result or undef, line].
sub blocks
{
	my ($file) = @_;
	my (@blocks, $kind, $text, $line);

	open my $in, '<:encoding(UTF-8)', "$root/$file" or die "$file: $!";
	while (<$in>)
	{
		if (!defined $kind && /^```(\w*)/)
		{
			($kind, $text, $line) = ($1, '', $.);
		}
		elsif (defined $kind && /^```/)
		{
			push @blocks, [ $text, undef, $line, $. ] if $kind eq 'sql';
			$blocks[-1][1] = $text
			  if $kind eq 'text'
			  && @blocks
			  && $blocks[-1][3] == $line - 1;
			undef $kind;
		}
		elsif (defined $kind)
		{
			$text .= $_;
		}
	}
	return @blocks;
}

sub tidy
{
	my ($text) = @_;

	$text =~ s/^psql:[^ ]*:\d+: //gm;
	$text =~ s/127\.0\.0\.1:\d+/127.0.0.1:PORT/g;
	$text =~ s/[ \t]+$//gm;
	$text =~ s/\A\n+|\n+\z//g;
	return $text;
}

# Returns what psql prints for each block.
sub results
{
	my ($node, @blocks) = @_;
	my $script = '';
	my ($n, $output, %results) = (0);

	$script .= sprintf("\\echo ----- block %d -----\n%s", $n++, $_->[0])
	  foreach @blocks;
	IPC::Run::run [
		'psql', '-X', '-q', '-d', $node->connstr('postgres'), '-f', '-'
	  ],
	  '<', \$script, '>&', \$output;
	utf8::decode($output);
	$results{$1} = $2
	  while $output =~ /^----- block (\d+) -----\n(.*?)(?=^----- block|\z)/gms;
	return %results;
}

my $node = cluster();

# document => blocks that it has at least
my %documents = (
	'README.md' => 5,
	'docs/cookbook.md' => 5,
	'docs/orm.md' => 2,
	'docs/operating.md' => 1);

foreach my $file (sort keys %documents)
{
	my $api = sandbox(orders => 1000);
	my @blocks = blocks($file);
	my %results;

	$node->safe_psql('postgres',
		'DROP EXTENSION impilo_fdw CASCADE; CREATE EXTENSION impilo_fdw');
	$node->safe_psql('postgres', 'DROP SCHEMA IF EXISTS impilo, app CASCADE');
	attach($node, $api);
	cmp_ok(scalar @blocks, '>=', $documents{$file}, "$file has statements");
	%results = results($node, @blocks);
	foreach my $n (0 .. $#blocks)
	{
		my ($sql, $expected, $line) = @{ $blocks[$n] };
		my $got = tidy($results{$n} // 'not run');

		if (defined $expected)
		{
			is($got, tidy($expected), "$file:$line");
		}
		else
		{
			is($got, '', "$file:$line");
		}
	}
}

done_testing();

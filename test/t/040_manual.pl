# The statements of README.md and docs/ give the results that are printed there.
#
# Each page has its own sandbox of 1000 orders.  Its blocks are marked
#
#   sql          run in the order of the page and in one session.  A block
#                marked "text" directly after it is the result; without one, there
#                is no output
#   sql new      run in a session and a database of its own
#   sql varies   run as "sql", but its output varies, and a result is an example;
#                it raises no error
#   postgresql   not run: it needs an extension that may be missing
#
# IMPILO_MANUAL=1 writes the results that the statements give into the pages.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use ImpiloTest;

my $root = "$FindBin::RealBin/../..";

# page => number of blocks that are not run
my %not_run = ('docs/mirror.md' => 1);

# Returns the blocks of a page: hashes with sql, kind, result (or undef), line
# and end, the line where a result begins.
sub blocks
{
	my ($file) = @_;
	my (@blocks, $kind, $indent, $text, $line);

	open my $in, '<:encoding(UTF-8)', "$root/$file" or die "$file: $!";
	while (<$in>)
	{
		if (!defined $kind && /^( *)```(.*?) *$/)
		{
			($indent, $kind, $text, $line) = ($1, $2, '', $.);
		}
		elsif (defined $kind && /^ *```/)
		{
			push @blocks, { sql => $text, kind => $kind, line => $line, end => $. }
			  if $kind =~ /^(?:sql|postgresql)\b/;
			$blocks[-1]{result} = $text
			  if $kind eq 'text' && @blocks && $blocks[-1]{end} == $line - 1;
			undef $kind;
		}
		elsif (defined $kind)
		{
			$text .= s/^$indent//r;
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

# Adds to each block what psql prints for it.
sub run_in
{
	my ($node, $database, @blocks) = @_;
	my $script = '';
	my ($n, $output, %results) = (0);

	$script .= sprintf("\\echo ----- block %d -----\n%s", $n++, $_->{sql})
	  foreach @blocks;
	utf8::encode($script);
	IPC::Run::run [
		'psql', '-X', '-q', '-d', $node->connstr($database), '-f', '-'
	  ],
	  '<', \$script, '>&', \$output;
	utf8::decode($output);
	$results{$1} = $2
	  while $output =~ /^----- block (\d+) -----\n(.*?)(?=^----- block|\z)/gms;
	$blocks[$_]{got} = tidy($results{$_} // 'not run') foreach 0 .. $#blocks;
	return;
}

# Runs the statements of a page.
sub run_page
{
	my ($node, @blocks) = @_;
	my $api = sandbox(orders => 1000);

	$node->safe_psql('postgres',
		'DROP EXTENSION impilo_fdw CASCADE; CREATE EXTENSION impilo_fdw');
	$node->safe_psql('postgres',
		'DROP SCHEMA IF EXISTS impilo, mirror, api, app CASCADE; DROP TABLE IF EXISTS patients, shipments');
	attach($node, $api);
	run_in($node, 'postgres', grep { $_->{kind} =~ /^sql(?: varies)?$/ } @blocks);
	foreach my $block (grep { $_->{kind} eq 'sql new' } @blocks)
	{
		$node->safe_psql('postgres', 'DROP DATABASE IF EXISTS page');
		$node->safe_psql('postgres', 'CREATE DATABASE page');
		run_in($node, 'page', $block);
	}
	$api->stop;
	return;
}

# Writes the results of a page's statements into the page.
sub write_page
{
	my ($file, @blocks) = @_;
	my $text = '';

	open my $in, '<:encoding(UTF-8)', "$root/$file" or die "$file: $!";
	while (my $line = <$in>)
	{
		my ($block) = grep { $_->{end} == $. } @blocks;

		$text .= $line;
		next unless $block && $block->{kind} =~ /^sql(?: new)?$/;
		my ($indent) = $line =~ /^( *)/;
		$text .= join '', map { s/^(?=.)/$indent/r . "\n" } '```text', (split /\n/, $block->{got}), '```'
		  if $block->{got} ne '';
		next unless defined $block->{result};
		$line = <$in>;
		1 until ($line = <$in>) =~ /^ *```/;
	}
	open my $out, '>:encoding(UTF-8)', "$root/$file" or die "$file: $!";
	print $out $text;
	close $out or die "$file: $!";
	return;
}

my $node = cluster();

$node->safe_psql('postgres', 'CREATE ROLE reports; CREATE DATABASE orders_copy');
$node->safe_psql('orders_copy', 'CREATE EXTENSION impilo_fdw');
foreach my $file ('README.md', map { s{.*/docs/}{docs/}r } sort glob "$root/docs/*.md")
{
	my @blocks = blocks($file);

	run_page($node, @blocks) if grep { $_->{kind} =~ /^sql/ } @blocks;
	write_page($file, @blocks) if $ENV{IMPILO_MANUAL};
	foreach my $block (@blocks)
	{
		my $where = "$file:$block->{line}";

		if ($block->{kind} eq 'postgresql')
		{
			$not_run{$file}--;
		}
		elsif ($block->{kind} eq 'sql varies')
		{
			unlike($block->{got}, qr/^(?:ERROR|FATAL):|not run/m, $where);
		}
		else
		{
			is($block->{got}, tidy($block->{result} // ''), $where);
		}
	}
	is($not_run{$file} // 0, 0, "$file: every statement is run");
}

done_testing();

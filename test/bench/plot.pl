#!/usr/bin/perl
#
# test/bench/plot.pl [PAGE] >docs/performance.svg
#
# Draws the table of a page (docs/performance.md) or of the output of
# test/bench/run: a line for each row that has an alternative, with a mark for
# the time of impilo_fdw and of each alternative, on a logarithmic scale.

use strict;
use warnings;

binmode STDOUT, ':encoding(UTF-8)';
my $page = $ARGV[0] // 'docs/performance.md';
my (@head, @rows);

# Returns the milliseconds of a cell such as "56.8 ms (13.13)", or undef.
sub milliseconds
{
	my ($cell) = @_;

	return $cell =~ /^([\d.]+) (ms|s)\b/ ? $1 * ($2 eq 's' ? 1000 : 1) : undef;
}

open my $in, '<:encoding(UTF-8)', $page or die "$page: $!\n";
while (<$in>)
{
	next unless s/^\| //;
	s/ ?\|$//;
	chomp;
	my @cells = split / ?\| ?/, $_, -1;
	if ($cells[0] eq 'what')
	{
		@head = @cells[ 1 .. 5 ];
	}
	elsif (@head)
	{
		my @times = map { milliseconds($_ // '') } @cells[ 1 .. 5 ];

		push @rows, { what => $cells[0] =~ tr/`//dr, times => \@times }
		  if defined $times[0] && grep { defined } @times[ 1 .. 4 ];
	}
}
die "$page has no table\n" unless @rows;

# Sizes in pixels; the scale begins and ends at a power of ten.
my ($left, $top, $right, $step) = (420, 74, 30, 24);
my $decade = 115;
my @all = sort { $a <=> $b } grep { defined && $_ > 0 } map { @{ $_->{times} } } @rows;
my $first = int(log($all[0]) / log(10) + 1e-9);
my $last = int(log($all[-1]) / log(10) + 1);
my $width = $left + $decade * ($last - $first) + $right;
my $bottom = $top + $step * @rows;
my $height = $bottom + 52;

sub x
{
	return sprintf '%.1f', $left + $decade * (log($_[0]) / log(10) - $first);
}

sub text
{
	my ($x, $y, $anchor, $text) = @_;

	$text =~ s/([&<>])/'&#' . ord($1) . ';'/ge;
	print qq(<text x="$x" y="$y" text-anchor="$anchor">$text</text>\n);
	return;
}

# A mark has a shape as well as a color.
my @marks = (
	[ '#0b5fa5', sub { my ($x, $y) = @_; sprintf '<circle cx="%s" cy="%s" r="6"', $x, $y } ],
	[ '#555555', sub { my ($x, $y) = @_; sprintf '<path d="M%s %s v14" stroke="#555555" stroke-width="3"', $x, $y - 7 } ],
	[ '#b35900', sub { my ($x, $y) = @_; sprintf '<rect x="%s" y="%s" width="10" height="10"', $x - 5, $y - 5 } ],
	[ '#2e7d32', sub { my ($x, $y) = @_; sprintf '<path d="M%s %s l6.5 11 h-13 z"', $x, $y - 7 } ],
	[ '#a3195b', sub { my ($x, $y) = @_; sprintf '<path d="M%s %s l6 6 l-6 6 l-6 -6 z"', $x, $y - 6 } ]);

sub mark
{
	my ($i, $x, $y) = @_;
	my ($color, $shape) = @{ $marks[$i] };

	print $shape->($x, $y), qq( fill="$color"/>\n);
	return;
}

print qq(<svg xmlns="http://www.w3.org/2000/svg" width="$width" height="$height" viewBox="0 0 $width $height" )
  . qq(font-family="sans-serif" font-size="13" fill="#222222">\n)
  . qq(<title>Time of impilo_fdw and of the alternatives</title>\n)
  . qq(<rect width="$width" height="$height" fill="#ffffff"/>\n);
foreach my $i (0 .. $#head)
{
	mark($i, 30 + 160 * $i, 26);
	text(44 + 160 * $i, 31, 'start', $head[$i]);
}
foreach my $power ($first .. $last)
{
	my $x = x(10**$power);

	printf qq(<path d="M%s %s V%s" stroke="#cccccc"/>\n), $x, $top - 10, $bottom;
	text($x, $bottom + 18, 'middle', $power < 3 ? 10**$power . ' ms' : 10**($power - 3) . ' s');
}
text(($left + $width - $right) / 2, $bottom + 40, 'middle', 'time, logarithmic; less is better');
foreach my $n (0 .. $#rows)
{
	my ($what, $times) = @{ $rows[$n] }{qw(what times)};
	my $y = $top + $step * $n + 8;

	printf qq(<path d="M%s %s H%s" stroke="#eeeeee"/>\n), $left, $y, $width - $right;
	text($left - 12, $y + 5, 'end', $what);
	foreach my $i (reverse 0 .. 4)
	{
		mark($i, x($times->[$i]), $y) if $times->[$i];
	}
}
print "</svg>\n";

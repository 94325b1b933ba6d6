#!/bin/bash
# test/architecture.sh            writes docs/architecture.svg (needs graphviz)
# test/architecture.sh graph      prints the graph of the folders as dot text
# test/architecture.sh upward     prints includes that point up or sideways
# test/architecture.sh circles    prints modules that use each other
# test/architecture.sh stale      prints what docs/architecture.svg has wrong
# test/architecture.sh numbers    prints lines, files and levels
#
# A module is a .c file with its .h file.  It depends on the modules whose
# headers either of them includes; for "circles", on those whose functions and
# variables its .c file names, as modules can share a header.  The levels are the
# modules in the longest chain of dependencies.  The picture contains its dot text
# as a comment, so that "stale" does not need graphviz.

set -uo pipefail
shopt -s nullglob
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

picture=docs/architecture.svg
files=(src/*.[ch] src/*/*.[ch])

# The folders of src/, from the top down, and what each is about.  A file may
# include headers of its own folder and of folders further down this list;
# compat.h is for all.
folders() {
	cat <<-'END'
		.|module start, list of callbacks
		fdw|what PostgreSQL's planner and executor call
		functions|what SQL calls
		create|a row becomes one order, once
		read|orders as a stream, complete and unique
		rows|values: order to row, row to request
		catalog|options, connections, relations
		api|URLs, pages, errors of the order API
		json|JSON as bytes
		http|requests, retries, libcurl
	END
}

# analyze WHAT
analyze() {
	FOLDERS=$(folders) perl - "$1" "${files[@]}" <<'END'
use strict;
use warnings;

my ($what, @files) = @ARGV;
my (@folders, %subject, %place, %uses, %modules, %arrows, %lines, @upward);
my (%home, %names);

foreach (split /\n/, $ENV{FOLDERS})
{
	my ($folder, $subject) = split /\|/;
	$place{$folder} = @folders;
	$subject{$folder} = $subject;
	push @folders, $folder;
}

sub folder_of { return $_[0] =~ m{^(.*)/} ? $1 : '.'; }

foreach my $file (@files)
{
	my ($module) = $file =~ m{^src/(.*)\.[ch]$};
	my $from = folder_of($module);

	$modules{$from}{ $module =~ s{.*/}{}r } = 1;
	$uses{$module} //= {};
	open my $in, '<', $file or die "$file: $!\n";
	push @upward, "$file: add its folder to the list in test/architecture.sh"
	  unless defined $place{$from};
	while (<$in>)
	{
		$lines{$from}++;
		if ($file =~ /\.c$/)
		{
			$home{$1} = $module
			  if /^(impilo\w+)\(/ || /^(?!static|extern|typedef)\w.*?\b(impilo_\w+)\b(?: = .*|\) \(.*)?;$/;
			$names{$module}{$_} = 1 foreach /\b(impilo\w+)/g;
		}
		my ($used) = /^\s*#\s*include\s*"(.*)\.h"/ or next;
		next if !-e "src/$used.h";
		my $to = folder_of($used);
		$uses{$module}{$used} = 1 if $used ne $module;
		next if $used eq 'compat' || !defined $place{$from};
		push @upward, sprintf '%s:%d: %s', $file, $., s/\s+\z//r
		  if ($place{$to} // -1) < $place{$from};
		$arrows{$from}{$to} = 1 if $to ne $from;
	}
}

if ($what eq 'circles')
{
	foreach my $module (keys %names)
	{
		$uses{$module} = { map { $_ => 1 } grep { defined && $_ ne $module }
			  map { $home{$_} } keys %{ $names{$module} } };
	}
}

# Tarjan's algorithm: each component after those that it depends on
my ($count, @stack, %index, %low, %level, @circles) = (0);

sub visit
{
	my ($module) = @_;

	$index{$module} = $low{$module} = ++$count;
	push @stack, $module;
	foreach my $used (sort keys %{ $uses{$module} })
	{
		visit($used) if !$index{$used};
		$low{$module} = $low{$used}
		  if !$level{$used} && $low{$used} < $low{$module};
	}
	return if $low{$module} != $index{$module};

	my ($height, @component) = (0);
	do { push @component, pop @stack } until $component[-1] eq $module;
	my %mine = map { $_ => 1 } @component;
	foreach my $used (map { keys %{ $uses{$_} } } @component)
	{
		$height = $level{$used} if !$mine{$used} && $level{$used} > $height;
	}
	$level{$_} = $height + @component foreach @component;
	push @circles, join(' ', sort @component) if @component > 1;
}

visit($_) foreach grep { !$index{$_} } sort keys %uses;

if ($what eq 'upward')
{
	print map { "$_\n" } @upward;
}
elsif ($what eq 'circles')
{
	print map { "$_\n" } @circles;
}
elsif ($what eq 'numbers')
{
	my ($sum, $levels) = (0, 0);

	foreach my $folder (@folders)
	{
		my $in = grep { folder_of(s{^src/}{}r) eq $folder } @files;
		printf "src/%-10s %6d lines %4d files\n", $folder, $lines{$folder} // 0, $in;
		$sum += $lines{$folder} // 0;
	}
	foreach (values %level) { $levels = $_ if $_ > $levels }
	printf "%-14s %6d lines %4d files %4d levels\n", 'all', $sum, scalar @files, $levels;

	# one of the longest chains
	my ($module) = grep { $level{$_} == $levels } sort keys %level;
	my @chain = ($module);
	while ($module)
	{
		my ($next) = sort { $level{$b} <=> $level{$a} || $a cmp $b }
		  grep { $level{$_} < $level{$module} } keys %{ $uses{$module} };
		push @chain, $module = $next if $next;
		$module = $next;
	}
	print 'longest chain: ', join(' > ', @chain), "\n";
}
elsif ($what eq 'graph')
{
	print "digraph impilo_fdw {\n";
	print "  graph [rankdir=TB, nodesep=0.4, ranksep=0.5];\n";
	print "  node [shape=box, fontname=\"sans-serif\", fontsize=11, style=filled, fillcolor=\"#f2f6fa\"];\n";
	foreach my $folder (grep { $modules{$_} } @folders)
	{
		my $name = $folder eq '.' ? 'src' : "src/$folder";
		printf "  \"%s\" [label=\"%s\\n%s\\n%s\"];\n", $name, $name, $subject{$folder},
		  join(', ', sort keys %{ $modules{$folder} });
	}
	foreach my $from (grep { $modules{$_} } @folders)
	{
		foreach my $to (grep { $arrows{$from}{$_} } @folders)
		{
			printf "  \"%s\" -> \"%s\";\n", map { $_ eq '.' ? 'src' : "src/$_" } $from, $to;
		}
	}
	print "}\n";
}
END
}

write_picture() {
	local graph

	command -v dot >/dev/null || {
		echo 'graphviz is not installed' >&2
		exit 1
	}
	graph=$(analyze graph)
	{
		dot -Tsvg <<<"$graph" || exit 1
		printf '<!--\n%s\n-->\n' "$graph"
	} | sed -e 's/[ \t]*$//' >"$picture"
}

# The text between the last "<!--" line and "-->" is the graph.
stale() {
	diff -u --label "$picture" --label 'the includes of src/' \
		<(sed -n '/^<!--$/,/^-->$/p' "$picture" 2>/dev/null | grep -vxE -- '<!--|-->') \
		<(analyze graph)
}

case ${1:-write} in
	write) write_picture ;;
	stale) stale ;;
	graph | upward | circles | numbers) analyze "$1" ;;
	*)
		echo 'usage: test/architecture.sh [graph | upward | circles | stale | numbers]' >&2
		exit 2
		;;
esac

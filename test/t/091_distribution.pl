# META.json follows the PGXN Meta Specification, and "make dist" packs every file
# that is needed to build and test, and no other.

use strict;
use warnings;

use Cwd qw(abs_path);
use FindBin;
use IO::Uncompress::Unzip qw($UnzipError);
use JSON::PP ();
use Test::More;

my $root = abs_path("$FindBin::RealBin/../..");

sub contents
{
	my ($file) = @_;

	open my $in, '<:raw', $file or die "$file: $!";
	local $/;
	return scalar <$in>;
}

#----------------------------------------------------------------------
# META.json
#----------------------------------------------------------------------

my $meta = JSON::PP->new->utf8->decode(contents("$root/META.json"));

# The types of the specification (https://pgxn.org/meta/spec.txt), version 1.0.0
my $string = sub { defined $_[0] && !ref $_[0] && $_[0] =~ /\S/ };
my $term = sub { $string->($_[0]) && $_[0] =~ m{^[^[:cntrl:]/\\:\s]{2,}$} };
my $version = sub { $string->($_[0]) && $_[0] =~ /^(0|[1-9]\d*)(\.(0|[1-9]\d*)){2}(-[A-Za-z][0-9A-Za-z-]*)?$/ };
my $url = sub { $string->($_[0]) && $_[0] =~ m{^[a-z]+://\S+$} };
my $range = sub { $string->($_[0]) && !grep { !/^\s*(?:[<>]=?|[!=]=)?\s*[\d.]+\s*$/ } split /,/, $_[0] };
my $one_of = sub { my %known = map { $_ => 1 } @_; return sub { !ref $_[0] && $known{ $_[0] } } };
my $list_of = sub { my ($type) = @_; return sub { ref $_[0] eq 'ARRAY' && @{ $_[0] } && !grep { !$type->($_) } @{ $_[0] } } };
my $map_of = sub {
	my ($key, $type) = @_;
	return sub {
		ref $_[0] eq 'HASH' && %{ $_[0] } && !grep { !$key->($_) || !$type->($_[0]{$_}) } keys %{ $_[0] };
	};
};
my $any_of = sub { my @types = @_; return sub { my ($value) = @_; grep { $_->($value) } @types } };
my $map = sub {
	my ($required, $optional) = @_;
	my %known = (%$required, %$optional);
	return sub {
		my ($value) = @_;
		ref $value eq 'HASH'
		  && !(grep { !exists $value->{$_} } keys %$required)
		  && !(grep { !/^x_/i && !($known{$_} && $known{$_}->($value->{$_})) } keys %$value);
	};
};

my $license = $one_of->(
	qw(agpl_3 apache_1_1 apache_2_0 artistic_1 artistic_2 bsd freebsd gfdl_1_2 gfdl_1_3 gpl_1 gpl_2 gpl_3
	  lgpl_2_1 lgpl_3_0 mit mozilla_1_0 mozilla_1_1 openssl perl_5 postgresql qpl_1_0 ssleay sun zlib
	  open_source restricted unrestricted unknown));
my %required = (
	name => $term,
	version => $version,
	abstract => $string,
	maintainer => $any_of->($string, $list_of->($string)),
	license => $any_of->($license, $list_of->($license), $map_of->($string, $url)),
	provides => $map_of->(
		$term,
		$map->(
			{ file => $string, version => $version },
			{ abstract => $string, docfile => $string })),
	'meta-spec' => $map->({ version => $one_of->('1.0.0') }, { url => $url }));
my %optional = (
	description => $string,
	generated_by => $string,
	tags => $list_of->(sub { $string->($_[0]) && length $_[0] <= 255 && $_[0] !~ m{[/\\[:cntrl:]]} }),
	no_index => $map_of->($one_of->(qw(file directory)), $list_of->($string)),
	prereqs => $map_of->(
		$one_of->(qw(configure build test runtime develop)),
		$map_of->(
			$one_of->(qw(requires recommends suggests conflicts)), $map_of->($term, $range))),
	release_status => $one_of->(qw(stable testing unstable)),
	resources => $map->({}, {
			homepage => $url,
			bugtracker => $map_of->($one_of->(qw(web mailto)), $string),
			repository => $map->({}, { url => $url, web => $url, type => $term }) }));

foreach my $field (sort keys %required)
{
	ok(exists $meta->{$field} && $required{$field}->($meta->{$field}), "META.json: $field");
}
foreach my $field (sort grep { !$required{$_} && !/^x_/i } keys %$meta)
{
	ok($optional{$field} && $optional{$field}->($meta->{$field}), "META.json: $field");
}

# The check can fail.
ok(!$required{license}->('mine'), 'an unknown license is reported');
ok(!$required{version}->('1.0'), 'a version of two numbers is reported');
ok(!$required{provides}->({ impilo_fdw => { version => '1.0.0' } }), 'a missing file is reported');

#----------------------------------------------------------------------
# make dist
#----------------------------------------------------------------------

my $tempdir = "$root/tmp_check/distribution";
my $output = '';

# A repository of the files around this test, without those that .gitignore names
sub run
{
	my ($command) = @_;

	$output = `($command) 2>&1`;
	return $? == 0;
}

SKIP:
{
	skip 'git is not installed', 1 unless run('git --version');

	local $ENV{GIT_DIR} = "$tempdir/git";
	local $ENV{GIT_WORK_TREE} = $root;
	local $ENV{GIT_CONFIG_NOSYSTEM} = 1;
	my ($prefix, $zip) = ("impilo_fdw-$meta->{version}/", "$root/build/impilo_fdw-$meta->{version}.zip");
	my %content;

	run("rm -rf '$tempdir'; mkdir -p '$tempdir'; cd '$root' && git init -q && git add -A && "
		  . 'git -c user.name=test -c user.email=test@localhost commit -qm test && rm -f "' . $zip . '" && make -s dist')
	  or die "make dist: $output";
	my @tracked = split /\n/, `git ls-files`;

	my $in = IO::Uncompress::Unzip->new($zip) or die "$zip: $UnzipError";
	for (my $status = 1; $status > 0; $status = $in->nextStream)
	{
		my $name = $in->getHeaderInfo->{Name};
		local $/;
		$content{$name} = <$in> unless $name =~ m{/$};
	}

	is_deeply([ grep { !s/^\Q$prefix\E// } map { "$_" } sort keys %content ],
		[], "all files are in $prefix");
	is_deeply(
		[ sort map { s/^\Q$prefix\E//r } keys %content ],
		[ sort grep { !m{^(\.ci/|\.editorconfig$|\.gitattributes$|\.gitignore$)} } @tracked ],
		'the distribution has the files of the repository but those for git, editors and continuous integration');
	is_deeply(
		[
			grep {
				m{\.(o|so|bc|a|gcno|gcda|log|diffs)$|^\Q$prefix\E(results|log|tmp_check|build|output_iso)/}
				  || ($content{$_} // '') =~ /\x00/ && !m{/test/fuzz/corpus/}
			} sort keys %content
		],
		[],
		'the distribution has no programs and no output of tests');
	foreach my $file (qw(Makefile META.json LICENSE README.md CHANGELOG.md impilo_fdw.control test/check.sh),
		map { @{$_}{qw(file docfile)} } values %{ $meta->{provides} })
	{
		ok(exists $content{ $prefix . $file }, "the distribution has $file");
	}
	run("rm -rf '$tempdir'");
}

done_testing();

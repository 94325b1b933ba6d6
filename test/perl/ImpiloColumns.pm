# ImpiloColumns: the columns of the relations, by the rule as it stands in the
# documentation; it shares no code with the extension.
#
#   %columns    relation => [[name, path in the document, type], ...], without
#               the keys (id; order_id, kit_position, position) and document
#   %array      relation => the member of an order whose elements are its rows
#   @children   the relations that have one

package ImpiloColumns;

use strict;
use warnings;

use Exporter 'import';

our @EXPORT = qw(%columns %array @children);

sub snake { return lc($_[0] =~ s/([A-Z])/_$1/gr); }

sub texts
{
	my ($name, $path, @members) = @_;

	return map { [ $name . snake($_), [ @$path, $_ ], 'text' ] } @members;
}

sub typed
{
	my ($name, $path, $type, @members) = @_;

	return map { [ $name . snake($_), [ @$path, $_ ], $type ] } @members;
}

sub address
{
	my ($name, $path) = @_;

	return texts("${name}address_", [ @$path, 'address' ],
		qw(lineOne lineTwo lineThree city state zipCode country note));
}

sub site
{
	my ($name, $path) = @_;

	return (
		typed($name, $path, 'bigint', 'id'),
		texts($name, $path, qw(name phoneNumber)),
		typed($name, $path, 'boolean', 'active'),
		address($name, $path));
}

sub patient
{
	my ($name, $path) = @_;

	return (
		typed($name, $path, 'bigint', 'id'),
		texts($name, $path,
			qw(externalIdentifier firstName lastName email phoneNumber sex)),
		typed($name, $path, 'date', 'dateOfBirth'),
		typed($name, $path, 'boolean', qw(archived enrolled)),
		address($name, $path),
		site("${name}site_", [ @$path, 'site' ]));
}

sub item
{
	my ($name, $path) = @_;
	my $manufacturer = [ @$path, 'manufacturer' ];

	return (
		typed($name, $path, 'bigint', 'id'),
		texts($name, $path, qw(name model sku)),
		typed($name, $path, 'boolean', 'orderable'),
		typed("${name}manufacturer_", $manufacturer, 'bigint', 'id'),
		texts("${name}manufacturer_", $manufacturer, 'name'));
}

sub kit
{
	my ($name, $path) = @_;

	return (
		typed($name, $path, 'bigint', 'id'),
		texts($name, $path, 'name'),
		typed($name, $path, 'boolean', 'archived'),
		typed($name, $path, 'jsonb', 'kitItems'));
}

sub device
{
	return (
		[ 'device_id', ['id'], 'bigint' ],
		item('item_', ['item']),
		texts('', [], qw(currentStatus lastHealthCheck externalIdentifier)),
		typed('', [], 'boolean', qw(used disabledReadings)),
		patient('current_patient_', ['currentPatient']),
		site('site_', ['site']),
		typed('', [], 'jsonb', qw(deviceIdentifiers deviceEvents)));
}

our %columns = (
	orders => [
		[ 'external_order_ids', ['externalOrderIds'], 'text[]' ],
		patient('patient_', ['patient']),
		site('site_', ['site']),
		texts('', [], qw(currentStatus shippingOption)),
		typed('', [], 'boolean', 'emailLabel'),
		typed('', [], 'jsonb',
			qw(orderItems orderKits orderEvents trackingNumbers devices
			  packedKits orderNotes returnDevices returnItems returnPackedKits))
	],
	order_external_ids => [ [ 'external_order_id', [], 'text' ] ],
	order_items => [
		item('item_', ['item']), typed('', [], 'integer', 'count')
	],
	order_kits => [
		kit('kit_', ['kit']), typed('', [], 'integer', 'count')
	],
	order_events => [
		texts('', [], 'name'),
		typed('', [], 'timestamptz', 'eventTimestamp')
	],
	order_tracking_numbers => [ texts('', [], qw(carrier value)) ],
	order_devices => [ device() ],
	order_packed_kits => [
		kit('kit_', ['kit']), typed('', [], 'jsonb', 'devices')
	],
	order_packed_kit_devices => [ device() ],
	order_notes => [
		texts('', [], 'note'),
		typed('', [], 'timestamptz', 'createdAt'),
		typed('created_by_', ['createdBy'], 'bigint', 'id'),
		texts('created_by_', ['createdBy'], qw(firstName lastName email))
	]);

our %array = (
	order_external_ids => 'externalOrderIds',
	order_items => 'orderItems',
	order_kits => 'orderKits',
	order_events => 'orderEvents',
	order_tracking_numbers => 'trackingNumbers',
	order_devices => 'devices',
	order_packed_kits => 'packedKits',
	order_packed_kit_devices => 'packedKits',
	order_notes => 'orderNotes');

our @children = sort keys %array;

1;

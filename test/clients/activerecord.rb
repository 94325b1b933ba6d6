# ruby activerecord.rb
require 'active_record'
require 'json'

ActiveRecord::Base.establish_connection(adapter: 'postgresql', schema_search_path: 'impilo,public')

class Order < ActiveRecord::Base
  self.table_name = 'impilo.orders'
  self.primary_key = 'id'
end

# insert_all looks for a unique index of the primary key
class Load < ActiveRecord::Base
  self.table_name = 'impilo.orders'
  self.primary_key = nil
end

DB = ActiveRecord::Base.connection
ITEMS = [{ item: { id: 1000 }, count: 2 }]

def requests
  DB.select_value('SELECT coalesce(sum(requests), 0) FROM impilo_fdw_stats()').to_i
end

def created
  DB.select_value("SELECT count(*) FROM impilo_created_orders() WHERE state = 'created'")
end

def error
  yield
rescue ActiveRecord::StatementInvalid => e
  result = e.cause.result
  %i[PG_DIAG_SQLSTATE PG_DIAG_SCHEMA_NAME PG_DIAG_TABLE_NAME PG_DIAG_MESSAGE_PRIMARY PG_DIAG_MESSAGE_DETAIL
     PG_DIAG_MESSAGE_HINT].map { |field| result.error_field(PG.const_get(field)) }
end

Order.first # reads the table's definition
start = requests
order = Order.find(3)
puts "read: #{order.id} #{order.current_status} #{requests - start}"
start = requests
found = (1..10).map { |i| Order.find_by(id: i) }
puts "prepared: #{found.compact.size} #{requests - start}"
joined = DB.select_rows('SELECT p.mrn, o.id FROM patients p JOIN orders o ON o.patient_id = p.impilo_id ORDER BY o.id')
puts "join: #{joined.flatten.join(' ')}"
ids = []
Order.transaction do
  DB.execute('DECLARE stream CURSOR FOR SELECT id FROM impilo.orders')
  until (some = DB.select_values('FETCH 100 FROM stream')).empty?
    ids += some
  end
end
puts "stream: #{ids.size} #{ids.uniq.size}"
order = Order.create!(patient_id: 1, external_order_ids: ['one'], order_items: ITEMS)
order.reload
puts "create: #{order.id} #{order.external_order_ids[0]} #{order.current_status}"
rows = (0..2).map { |i| { patient_id: 1, external_order_ids: ["batch-#{i}"], order_items: ITEMS } }
Load.insert_all!(rows)
puts "batch: #{created}"
Load.insert_all(rows)
puts "repeat: #{created}"
state, schema, table, message = error { Order.create!(patient_id: 1_000_000, external_order_ids: ['refused'], order_items: ITEMS) }
puts "refused: #{state} #{schema}.#{table} #{message.include?('patient_does_not_exist')}"
state, _, _, _, detail, hint = error do
  Load.insert_all!([[1, 'first'], [1_000_000, 'second']].map { |patient, id| { patient_id: patient, external_order_ids: [id], order_items: ITEMS } })
end
puts "partly: #{state} #{!detail.nil?} #{!hint.nil?}"

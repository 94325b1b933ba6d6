// java -cp postgresql.jar Jdbc.java URL USER
import java.sql.*;
import org.postgresql.util.*;

public class Jdbc {
    static Connection db;

    static final String INSERT =
        "INSERT INTO impilo.orders (patient_id, external_order_ids, order_items) VALUES (?, ?, ?::jsonb)";

    static long number(String sql) throws SQLException {
        try (Statement s = db.createStatement(); ResultSet r = s.executeQuery(sql)) {
            r.next();
            return r.getLong(1);
        }
    }

    static long requests() throws SQLException {
        return number("SELECT coalesce(sum(requests), 0) FROM impilo_fdw_stats()");
    }

    static long created() throws SQLException {
        return number("SELECT count(*) FROM impilo_created_orders() WHERE state = 'created'");
    }

    static void set(PreparedStatement s, int at, long patient, String id) throws SQLException {
        s.setLong(at, patient);
        s.setArray(at + 1, db.createArrayOf("text", new String[] {id}));
        s.setString(at + 2, "[{\"item\": {\"id\": 1000}, \"count\": 2}]");
    }

    static void batch(String step, String end) throws SQLException {
        try (PreparedStatement s = db.prepareStatement(INSERT + end)) {
            for (int i = 0; i < 3; i++) {
                set(s, 1, 1, "batch-" + i);
                s.addBatch();
            }
            s.executeBatch();
        }
        System.out.println(step + ": " + created());
    }

    public static void main(String[] argument) throws SQLException {
        db = DriverManager.getConnection(argument[0], argument[1], null);

        long begin = requests();
        try (PreparedStatement s = db.prepareStatement("SELECT id, current_status FROM impilo.orders WHERE id = ?")) {
            s.setLong(1, 3);
            ResultSet r = s.executeQuery();
            r.next();
            System.out.println("read: " + r.getLong(1) + " " + r.getString(2) + " " + (requests() - begin));

            // from the sixth time on, a prepared statement of the server
            int found = 0;
            begin = requests();
            for (int i = 1; i <= 10; i++) {
                s.setLong(1, i);
                if (s.executeQuery().next())
                    found++;
            }
            System.out.println("prepared: " + found + " " + (requests() - begin));
        }
        StringBuilder joined = new StringBuilder();
        try (Statement s = db.createStatement()) {
            ResultSet r = s.executeQuery("SELECT p.mrn, o.id FROM patients p JOIN impilo.orders o ON o.patient_id = p.impilo_id ORDER BY o.id");
            while (r.next())
                joined.append(" " + r.getString(1) + " " + r.getLong(2));
        }
        System.out.println("join:" + joined);
        db.setAutoCommit(false);
        try (Statement s = db.createStatement()) {
            s.setFetchSize(100);
            ResultSet r = s.executeQuery("SELECT id FROM impilo.orders");
            long rows = 0;
            java.util.Set<Long> ids = new java.util.HashSet<>();
            for (; r.next(); rows++)
                ids.add(r.getLong(1));
            System.out.println("stream: " + rows + " " + ids.size());
        }
        db.commit();
        db.setAutoCommit(true);
        try (PreparedStatement s = db.prepareStatement(INSERT + " RETURNING id, external_order_ids[1], current_status")) {
            set(s, 1, 1, "one");
            ResultSet r = s.executeQuery();
            r.next();
            System.out.println("create: " + r.getLong(1) + " " + r.getString(2) + " " + r.getString(3));
        }
        batch("batch", "");
        batch("repeat", " ON CONFLICT DO NOTHING");
        try (PreparedStatement s = db.prepareStatement(INSERT)) {
            set(s, 1, 1000000, "refused");
            s.execute();
        } catch (PSQLException e) {
            ServerErrorMessage m = e.getServerErrorMessage();
            System.out.println("refused: " + e.getSQLState() + " " + m.getSchema() + "." + m.getTable() + " "
                + m.getMessage().contains("patient_does_not_exist"));
        }
        try (PreparedStatement s = db.prepareStatement(INSERT + ", (?, ?, ?::jsonb)")) {
            set(s, 1, 1, "first");
            set(s, 4, 1000000, "second");
            s.execute();
        } catch (PSQLException e) {
            ServerErrorMessage m = e.getServerErrorMessage();
            System.out.println("partly: " + e.getSQLState() + " " + (m.getDetail() != null) + " " + (m.getHint() != null));
        }
    }
}

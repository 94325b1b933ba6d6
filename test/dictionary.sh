#!/bin/bash
# test/dictionary.sh [PSQL ARGUMENT...]
#
# Prints docs/data-dictionary.md, from impilo_data_dictionary().  Requires a
# database with the extension:
#
#   test/dictionary.sh -d DATABASE >docs/data-dictionary.md
#
# test/t/032_dictionary.pl fails if the file is out of date.

set -euo pipefail

cat <<'END'
# Data dictionary

The relations that `IMPORT FOREIGN SCHEMA v3` creates, and their columns. `test/dictionary.sh` generates this page from
`impilo_data_dictionary()`, which returns the same rows in SQL.

A path is a JSON pointer into an order, in which `*` stands for each element of an array. A column without a path is counted, not read.
A member that the API omits and one that is null are both NULL. INSERT accepts the columns marked *written*.
END

# one string, so that psql adds nothing
psql -X -A -t -q -v ON_ERROR_STOP=1 "$@" <<'SQL'
SELECT string_agg(line, E'\n' ORDER BY number)
FROM (
    SELECT number,
           CASE WHEN column_name IS NULL THEN
               format(E'\n## %s\n\n%s\n\n| column | type | path | description |\n|---|---|---|---|',
                      relation, description)
           ELSE
               format('| `%s` | %s | %s | %s%s |', column_name, type,
                      coalesce('`' || json_path || '`', ''),
                      CASE WHEN writable THEN '*Written.* ' END, description)
           END AS line
    FROM impilo_data_dictionary() WITH ORDINALITY
        AS d (relation, column_name, type, json_path, writable, description, number)
) AS lines;
SQL

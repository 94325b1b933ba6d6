/*-------------------------------------------------------------------------
 *
 * analyze.c
 *	  ANALYZE of a foreign table, from a sample of pages.
 *
 * At most SAMPLE_PAGES pages are read, chosen at random.  Orders of one page
 * were created near each other in time, so a sample of pages represents
 * columns that depend on time less well than a sample of single orders, which
 * would cost one request for each.
 *
 * pg_statistic contains values.  A column that may describe a person, that
 * is, everything below a patient but the id, notes, and JSON that may contain
 * either, has no values there unless the server option analyze_patient_data
 * allows it.  NULL in place of its values would have the planner believe that
 * the column is always NULL.  So each value is replaced by the same dummy,
 * which is longer than ANALYZE takes into account: what remains is the
 * fraction of NULLs and the assumption that all values are distinct.  Types
 * of fixed length have no such dummy; their values become NULL.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/fdw/analyze.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/toast_internals.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "common/pg_prng.h"
#include "regex/regex.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "catalog/connection.h"
#include "catalog/table.h"
#include "fdw/fdw.h"
#include "read/list.h"
#include "rows/read.h"

/*
 * At 250 orders per page, this is about what the default statistics target
 * can use.
 */
#define SAMPLE_PAGES 40

/* more than WIDTH_THRESHOLD in PostgreSQL's analyze.c */
#define DUMMY_LENGTH 2000

typedef struct Sampler
{
	ImpiloRowReader *rows;
	TupleDesc	descriptor;
	Datum	   *dummies;		/* by column: replaces its values; 0: they are
								 * taken */
	bool	   *document;		/* by column: not read, but never NULL */
	Datum	   *values;			/* of one row */
	bool	   *nulls;
	MemoryContext row;			/* reset before each row */

	HeapTuple  *sample;
	int			wanted;
	int			taken;
	double		seen;			/* rows */
	double		orders;
} Sampler;


/*
 * Returns whether a column may describe a person.  The id of a patient is a
 * join key and says nothing about the person, and booleans leave nothing but
 * a frequency.
 */
static bool
is_personal(const ImpiloTable *table, const ImpiloColumn *column)
{
	const char *array = table->relation->array;
	char	   *path;

	if (column->source == IMPILO_SOURCE_DOCUMENT)
		return true;
	if (column->source != IMPILO_SOURCE_POINTER || column->type == BOOLOID)
		return false;
	if (column->type == JSONBOID || column->type == JSONOID)
		return true;
	path = psprintf("%s%s", array ? array : "", column->pointer);
	return RE_compile_and_execute(cstring_to_text("/(orderNotes|createdBy)(/|$)|"
												  "/(devices|packedKits)$|"
												  "/(patient|currentPatient)($|/(?!id$))"),
								  path, strlen(path), REG_ADVANCED,
								  C_COLLATION_OID, 0, NULL);
}

/*
 * Returns the value that replaces those of a personal column, or 0 if its type
 * has none.  It is compressed, so that its width remains realistic.
 */
static Datum
dummy_of(Oid type)
{
	char	   *string = palloc(DUMMY_LENGTH + 1);
	Datum		value;

	memset(string, 'x', DUMMY_LENGTH);
	string[DUMMY_LENGTH] = '\0';
	switch (type)
	{
		case TEXTOID:
		case VARCHAROID:
		case BPCHAROID:
			value = CStringGetTextDatum(string);
			break;
		case JSONOID:
		case JSONBOID:
			string[0] = string[DUMMY_LENGTH - 1] = '"';
			value = type == JSONOID ? CStringGetTextDatum(string)
				: DirectFunctionCall1(jsonb_in, CStringGetDatum(string));
			break;
		default:
			return (Datum) 0;
	}
	return toast_compress_datum(value, TOAST_PGLZ_COMPRESSION);
}

/*
 * Callback of impilo_list_sample: adds the rows of an order to the sample.
 *
 * Once the sample is full, a row replaces a random one, so that each row is in
 * the sample with the same probability.
 */
static void
take_order(const ImpiloOrder *order, void *arg)
{
	Sampler    *sampler = arg;
	MemoryContext caller = CurrentMemoryContext;

	sampler->orders++;
	impilo_row_reader_order(sampler->rows, order->id, &order->document,
							order->request);
	while (impilo_row_reader_next(sampler->rows))
	{
		double		place = sampler->taken;

		sampler->seen++;
		if (sampler->taken == sampler->wanted)
			place = pg_prng_double(&pg_global_prng_state) * sampler->seen;
		if (place >= sampler->wanted)
			continue;

		MemoryContextReset(sampler->row);
		MemoryContextSwitchTo(sampler->row);
		impilo_row_reader_fill(sampler->rows, false, sampler->values,
							   sampler->nulls);
		MemoryContextSwitchTo(caller);
		for (int i = 0; i < sampler->descriptor->natts; i++)
		{
			sampler->nulls[i] &= !sampler->document[i];
			if (!sampler->nulls[i] && sampler->dummies[i] != 0)
				sampler->values[i] = sampler->dummies[i];
		}
		if ((int) place < sampler->taken)
			heap_freetuple(sampler->sample[(int) place]);
		else
			sampler->taken++;
		sampler->sample[(int) place] = heap_form_tuple(sampler->descriptor,
													   sampler->values,
													   sampler->nulls);
	}
}

static void
init_sampler(Sampler *sampler, Relation relation, bool consent)
{
	const ImpiloTable *table = impilo_table_bind(relation);
	Bitmapset  *columns = NULL;

	sampler->descriptor = RelationGetDescr(relation);
	sampler->dummies = palloc0(sizeof(Datum) * Max(table->natts, 1));
	sampler->document = palloc0(Max(table->natts, 1));
	sampler->values = palloc0(sizeof(Datum) * Max(table->natts, 1));
	sampler->nulls = palloc0(Max(table->natts, 1));
	for (int i = 0; i < table->natts; i++)
	{
		const ImpiloColumn *column = &table->columns[i];
		bool		personal = !consent && is_personal(table, column);

		if (column->attnum == 0 || column->unknown)
			continue;
		if (personal)
			sampler->dummies[i] = dummy_of(column->type);
		sampler->document[i] = sampler->dummies[i] != 0 &&
			column->source == IMPILO_SOURCE_DOCUMENT;
		if (!sampler->document[i] && (!personal || sampler->dummies[i] != 0))
			columns = bms_add_member(columns, i + 1);
	}
	sampler->rows = impilo_row_reader(table, columns, NULL, NULL,
									  CurrentMemoryContext);
	sampler->row = AllocSetContextCreate(CurrentMemoryContext,
										 "impilo_fdw sample row",
										 ALLOCSET_DEFAULT_SIZES);
}

/*
 * AcquireSampleRowsFunc: reads the pages and estimates the number of rows.
 */
static int
acquire_sample_rows(Relation relation, int elevel, HeapTuple *rows,
					int targrows, double *totalrows, double *totaldeadrows)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext,
												  "impilo_fdw sample",
												  ALLOCSET_DEFAULT_SIZES);
	ImpiloConnection *connection;
	ImpiloTableOptions options;
	Sampler		sampler = {.sample = rows,.wanted = targrows};
	int64		total;

	impilo_table_options(RelationGetRelid(relation), &options);
	connection = impilo_connection(relation->rd_rel->relowner, options.serverid,
								   context);
	init_sampler(&sampler, relation, options.analyze_patient_data);
	total = impilo_list_sample(connection->api, context, options.fetch_size,
							   options.max_concurrency, SAMPLE_PAGES,
							   take_order, &sampler);
	*totalrows = sampler.orders > 0 ? sampler.seen / sampler.orders * total : 0;
	*totaldeadrows = 0;
	ereport(elevel,
			(errmsg("\"%s\": sampled %.0f of about " INT64_FORMAT " orders, %d rows in sample, %.0f estimated total rows",
					RelationGetRelationName(relation), sampler.orders, total,
					sampler.taken, *totalrows)));
	MemoryContextDelete(context);
	return sampler.taken;
}

/*
 * impiloAnalyzeForeignTable
 *		Returns the function that samples; sends no request.
 *
 * A foreign table has no pages on disk.  With 1, PostgreSQL does not treat it
 * as a table that was never analyzed.
 */
bool
impiloAnalyzeForeignTable(Relation relation, AcquireSampleRowsFunc *function,
						  BlockNumber *pages)
{
	*function = acquire_sample_rows;
	*pages = 1;
	return true;
}

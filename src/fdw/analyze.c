/*-------------------------------------------------------------------------
 *
 * analyze.c
 *	  ANALYZE of a foreign table: a sample of pages, not all of them.
 *
 * SAMPLE_PAGES pages at most are read, chosen at random after the first has
 * told how many there are; rows are thinned out evenly if they are more than
 * PostgreSQL wants.  Orders of one page were created near one another, so
 * what depends on time is sampled less well than from single orders; those
 * would cost a request each.
 *
 * pg_statistic holds values.  So what describes a person is not taken into
 * the sample unless the server's option analyze_patient_data allows it:
 * everything below a patient but the id, notes, and JSON that may hold
 * either.  Of a text or a date a random stand-in is taken, always the same
 * for the same value, and of other types NULL.  A boolean leaves only how
 * often it is true, and is taken.  The stand-ins keep what the planner needs
 * of such columns, how many values there are and how often they are missing,
 * and allow no conclusion about a value: they are made with a secret that is
 * forgotten when the sample is taken.
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
#include "catalog/pg_type.h"
#include "common/cryptohash.h"
#include "common/pg_prng.h"
#include "common/sha2.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "catalog/connection.h"
#include "fdw/analyze.h"
#include "read/list.h"
#include "rows/read.h"

/*
 * Pages read at most: at 250 orders each, as many as the default statistics
 * target makes good use of, in a few seconds.
 */
#define SAMPLE_PAGES 40

/* days that the stand-ins of dates spread over: about a century */
#define DAYS_OF_A_CENTURY 36525

/* What becomes of a column's values on their way into the sample. */
typedef enum Treatment
{
	TAKE,
	STAND_IN,					/* a text or a date, replaced by a random one */
	LEAVE_OUT					/* NULL */
} Treatment;

typedef struct Sampler
{
	ImpiloRowReader *rows;
	TupleDesc	descriptor;
	Treatment  *treatment;		/* of each column */
	uint8		secret[PG_SHA256_DIGEST_LENGTH];
	MemoryContext row;			/* values on their way */

	HeapTuple  *sample;
	int			wanted;
	int			taken;
	double		seen;			/* rows */
	double		orders;
} Sampler;

/* ------------------------------------------------------------------------
 * What is about persons
 * ------------------------------------------------------------------------
 */

static bool
has_step(const char *pointer, const char *step)
{
	size_t		length = strlen(step);

	for (const char *at = pointer; at && *at; at = strchr(at + 1, '/'))
		if (strncmp(at + 1, step, length) == 0 &&
			(at[1 + length] == '\0' || at[1 + length] == '/'))
			return true;
	return false;
}

static bool
ends_in(const char *pointer, const char *end)
{
	size_t		length = strlen(pointer);

	return length >= strlen(end) &&
		strcmp(pointer + length - strlen(end), end) == 0;
}

/*
 * May the values tell something about a person?  The id of a patient, by
 * which tables are joined, tells nothing to who has no key.
 */
static bool
is_personal(const ImpiloTable *table, const ImpiloColumn *column)
{
	static const char *const persons[] = {
		"patient", "currentPatient", "orderNotes", "createdBy"
	};
	const char *array = table->relation->array;
	char	   *pointer;

	if (column->source == IMPILO_SOURCE_DOCUMENT)
		return true;
	if (column->source != IMPILO_SOURCE_POINTER)
		return false;
	if (column->type == JSONBOID || column->type == JSONOID)
		return true;
	pointer = psprintf("%s%s", array ? array : "", column->pointer);
	if (ends_in(pointer, "/patient/id") ||
		ends_in(pointer, "/currentPatient/id"))
		return false;
	for (int i = 0; i < lengthof(persons); i++)
		if (has_step(pointer, persons[i]))
			return true;
	return ends_in(pointer, "/devices") || ends_in(pointer, "/packedKits");
}

static Treatment
treat(const ImpiloTable *table, const ImpiloColumn *column, bool consent)
{
	if (consent || !is_personal(table, column))
		return TAKE;
	switch (column->type)
	{
		case TEXTOID:
		case VARCHAROID:
		case DATEOID:
			return STAND_IN;
		case BOOLOID:
			return TAKE;
		default:
			return LEAVE_OUT;
	}
}

/*
 * Bits that are the same for the same value, and from which nobody finds the
 * value.
 */
static uint64
scramble(const Sampler *sampler, const void *value, size_t length)
{
	pg_cryptohash_ctx *hash = pg_cryptohash_create(PG_SHA256);
	uint8		digest[PG_SHA256_DIGEST_LENGTH];
	uint64		bits;

	if (hash == NULL || pg_cryptohash_init(hash) < 0 ||
		pg_cryptohash_update(hash, sampler->secret,
							 sizeof(sampler->secret)) < 0 ||
		pg_cryptohash_update(hash, value, length) < 0 ||
		pg_cryptohash_final(hash, digest, sizeof(digest)) < 0)
		elog(ERROR, "impilo_fdw: could not compute a hash");
	pg_cryptohash_free(hash);
	memcpy(&bits, digest, sizeof(bits));
	return bits;
}

static Datum
stand_in(const Sampler *sampler, Oid type, Datum value)
{
	text	   *original;
	DateADT		date;

	if (type == DATEOID)
	{
		date = DatumGetDateADT(value);
		return DateADTGetDatum((DateADT) (scramble(sampler, &date, sizeof(date)) %
										  DAYS_OF_A_CENTURY));
	}
	original = DatumGetTextPP(value);
	return CStringGetTextDatum(psprintf("%016llx", (unsigned long long)
										scramble(sampler, VARDATA_ANY(original),
												 VARSIZE_ANY_EXHDR(original))));
}

static void
treat_values(const Sampler *sampler, Datum *values, const bool *nulls)
{
	for (int i = 0; i < sampler->descriptor->natts; i++)
		if (!nulls[i] && sampler->treatment[i] == STAND_IN)
			values[i] = stand_in(sampler,
								 TupleDescAttr(sampler->descriptor, i)->atttypid,
								 values[i]);
}

/* ------------------------------------------------------------------------
 * The sample
 * ------------------------------------------------------------------------
 */

/*
 * Take a row, or let it replace one that was taken, so that each row seen is
 * in the sample with the same probability.
 */
static void
take_row(Sampler *sampler, Datum *values, bool *nulls)
{
	MemoryContext caller = CurrentMemoryContext;
	HeapTuple	tuple;
	int			at = sampler->taken;

	sampler->seen++;
	if (sampler->taken == sampler->wanted)
	{
		double		place = pg_prng_double(&pg_global_prng_state) *
		sampler->seen;

		if (place >= sampler->wanted)
			return;
		at = (int) place;
	}
	MemoryContextSwitchTo(sampler->row);
	impilo_row_reader_filter(sampler->rows, values, nulls);
	treat_values(sampler, values, nulls);
	MemoryContextSwitchTo(caller);
	tuple = heap_form_tuple(sampler->descriptor, values, nulls);
	MemoryContextReset(sampler->row);
	if (at < sampler->taken)
		heap_freetuple(sampler->sample[at]);
	else
		sampler->taken++;
	sampler->sample[at] = tuple;
}

static void
take_order(const ImpiloOrder *order, void *arg)
{
	Sampler    *sampler = arg;
	Datum	   *values = palloc0(sizeof(Datum) * sampler->descriptor->natts);
	bool	   *nulls = palloc0(sampler->descriptor->natts);

	sampler->orders++;
	impilo_row_reader_order(sampler->rows, order->id, &order->document,
							order->request);
	while (impilo_row_reader_next(sampler->rows))
		take_row(sampler, values, nulls);
	pfree(values);
	pfree(nulls);
}

static void
prepare(Sampler *sampler, Relation relation, const ImpiloTable *table,
		bool consent)
{
	Bitmapset  *columns = NULL;

	sampler->descriptor = RelationGetDescr(relation);
	sampler->treatment = palloc0(sizeof(Treatment) * Max(table->natts, 1));
	for (int i = 0; i < table->natts; i++)
	{
		if (table->columns[i].attnum == 0 || table->columns[i].unknown)
			continue;
		sampler->treatment[i] = treat(table, &table->columns[i], consent);
		if (sampler->treatment[i] != LEAVE_OUT)
			columns = bms_add_member(columns, i + 1);
	}
	if (!pg_strong_random(sampler->secret, sizeof(sampler->secret)))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not generate random bytes")));
	sampler->rows = impilo_row_reader(table, columns, NULL,
									  CurrentMemoryContext);
	sampler->row = AllocSetContextCreate(CurrentMemoryContext,
										 "impilo_fdw sample row",
										 ALLOCSET_DEFAULT_SIZES);
}

/*
 * Read the pages, and tell how many rows there are in all.
 */
static int
acquire_sample_rows(Relation relation, int elevel, HeapTuple *rows,
					int targrows, double *totalrows, double *totaldeadrows)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext,
												  "impilo_fdw sample",
												  ALLOCSET_DEFAULT_SIZES);
	ForeignTable *table = GetForeignTable(RelationGetRelid(relation));
	ForeignServer *server = GetForeignServer(table->serverid);
	ImpiloConnection *connection = impilo_connection(relation->rd_rel->relowner,
													 server->serverid, context);
	ImpiloTableOptions options;
	Sampler		sampler = {.sample = rows,.wanted = targrows};
	int64		total;

	impilo_table_options(table, server, &options);
	prepare(&sampler, relation, impilo_table_bind(relation),
			connection->options.analyze_patient_data);
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
 *		Tell how ANALYZE gets its sample; sends nothing.
 *
 * There are no pages on disk; 1 keeps PostgreSQL from taking the table for
 * one that was never looked at.
 */
bool
impiloAnalyzeForeignTable(Relation relation, AcquireSampleRowsFunc *function,
						  BlockNumber *pages)
{
	*function = acquire_sample_rows;
	*pages = 1;
	return true;
}

/*-------------------------------------------------------------------------
 *
 * json_lex.c
 *	  The tokens of JSON that are too long to be passed inline.
 *
 * Skipping a container looks at 64 bytes at a time: which of them are quotes,
 * backslashes and brackets is four words of bits, and which brackets stand
 * inside a string follows from the quotes by a handful of shifts, without a
 * branch that depends on the text.  That is several times faster than going
 * from token to token, and most of a page is skipped at least once.
 *
 * What this does not do: a skip does not check.  Whatever brackets balance
 * passes, so it is for bytes that impilo_json_pass has seen or will see.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/json/json_lex.c
 *
 *-------------------------------------------------------------------------
 */
#include "json/json_lex.h"

/* --- literals and escapes ---------------------------------------------- */

const char *
impilo_json_literal(ImpiloJsonLexer *lex, const char *p,
					ImpiloJsonSlice *value)
{
	size_t		left = (size_t) (lex->end - p);

	value->data = p;
	value->escaped = false;
	value->kind = IMPILO_JSON_BOOL;
	if (left >= 4 && memcmp(p, "true", 4) == 0)
		value->length = 4;
	else if (left >= 5 && memcmp(p, "false", 5) == 0)
		value->length = 5;
	else if (left >= 4 && memcmp(p, "null", 4) == 0)
	{
		value->length = 4;
		value->kind = IMPILO_JSON_NULL;
	}
	else
		return json_fail(lex, p, "value expected");
	return p + value->length;
}

const char *
impilo_json_escape(ImpiloJsonLexer *lex, const char *p)
{
	const char *start = p;
	int			i;

	p++;
	if (p == lex->end)
		return json_fail(lex, start, "unterminated string");
	if (*p != 'u')
	{
		if (*p == '\0' || strchr("\"\\/bfnrt", *p) == NULL)
			return json_fail(lex, start, "unknown escape in a string");
		return p + 1;
	}
	p++;
	for (i = 0; i < 4; i++, p++)
	{
		if (p == lex->end || json_hex_value(*p) < 0)
			return json_fail(lex, start, "escape without four hex digits");
	}
	return p;
}

/* --- one container, loosely -------------------------------------------- */

#ifdef IMPILO_JSON_VECTORS

/* One bit a byte of 64 bytes, the first byte lowest */
typedef struct BlockBits
{
	uint64_t	quotes;
	uint64_t	backslashes;
	uint64_t	opening;
	uint64_t	closing;
} BlockBits;

static inline void
classify_block(const char *p, BlockBits *bits)
{
	int			shift;

	memset(bits, 0, sizeof(*bits));
	for (shift = 0; shift < 64; shift += 16)
	{
		JsonBytes	bytes = json_load(p + shift);
		JsonBytes	folded = json_fold_brackets(bytes);

		bits->quotes |=
			(uint64_t) json_bits(json_equal(bytes, '"')) << shift;
		bits->backslashes |=
			(uint64_t) json_bits(json_equal(bytes, '\\')) << shift;
		bits->opening |=
			(uint64_t) json_bits(json_equal(folded, '{')) << shift;
		bits->closing |=
			(uint64_t) json_bits(json_equal(folded, '}')) << shift;
	}
}

/*
 * The bytes that a backslash before them robs of their meaning.  *carry tells
 * from one block to the next that its first byte is one.
 */
static uint64_t
escaped_bytes(uint64_t backslashes, bool *carry)
{
	uint64_t	escaped = *carry ? 1 : 0;

	backslashes &= ~escaped;
	*carry = false;
	while (backslashes != 0)
	{
		uint64_t	backslash = backslashes & (~backslashes + 1);
		uint64_t	next = backslash << 1;

		if (next == 0)
			*carry = true;
		escaped |= next;
		backslashes &= ~(backslash | next);
	}
	return escaped;
}

/* The bytes from each odd quote to before the next even one */
static inline uint64_t
between_quotes(uint64_t quotes)
{
	quotes ^= quotes << 1;
	quotes ^= quotes << 2;
	quotes ^= quotes << 4;
	quotes ^= quotes << 8;
	quotes ^= quotes << 16;
	quotes ^= quotes << 32;
	return quotes;
}

/* State between the blocks of one skip */
typedef struct SkipState
{
	int64_t		depth;			/* containers to be closed yet */
	uint64_t	in_string;		/* all ones inside a string, else 0 */
	bool		escaped;		/* the block before ended in a backslash */
} SkipState;

/*
 * Count the brackets of one block.  Returns the number of bytes up to behind
 * the one that closes the outermost container, or 0 if it is not here.
 */
static inline int
skip_block(SkipState *state, const char *p)
{
	BlockBits	bits;
	uint64_t	strings;
	uint64_t	brackets;

	classify_block(p, &bits);
	if (json_unlikely(bits.backslashes != 0 || state->escaped))
		bits.quotes &= ~escaped_bytes(bits.backslashes, &state->escaped);
	strings = between_quotes(bits.quotes) ^ state->in_string;
	state->in_string = (uint64_t) 0 - (strings >> 63);
	bits.opening &= ~strings;
	bits.closing &= ~strings;

	for (brackets = bits.opening | bits.closing; brackets != 0;
		 brackets &= brackets - 1)
	{
		uint64_t	bracket = brackets & (~brackets + 1);

		state->depth += (bits.opening & bracket) != 0 ? 1 : -1;
		if (state->depth == 0)
			return __builtin_ctzll(bracket) + 1;
	}
	return 0;
}

const char *
impilo_json_skip(ImpiloJsonLexer *lex, const char *p, int64_t depth)
{
	SkipState	state = {depth, 0, false};
	char		last[64];
	int			passed;

	for (; lex->end - p >= 64; p += 64)
	{
		passed = skip_block(&state, p);
		if (passed != 0)
			return p + passed;
	}

	/* a block that the end cuts is filled up with what means nothing */
	memset(last, ' ', sizeof(last));
	memcpy(last, p, (size_t) (lex->end - p));
	passed = skip_block(&state, last);
	if (passed != 0)
		return p + passed;
	return json_fail(lex, lex->end, "unterminated array or object");
}

#else							/* !IMPILO_JSON_VECTORS */

const char *
impilo_json_skip(ImpiloJsonLexer *lex, const char *p, int64_t depth)
{
	ImpiloJsonSlice string;

	while (p < lex->end)
	{
		if (*p == '"')
		{
			p = json_string(lex, p, &string);
			if (p == NULL)
				return NULL;
			continue;
		}
		if (*p == '{' || *p == '[')
			depth++;
		else if (*p == '}' || *p == ']')
			depth--;
		p++;
		if (depth == 0)
			return p;
	}
	return json_fail(lex, p, "unterminated array or object");
}

#endif							/* IMPILO_JSON_VECTORS */

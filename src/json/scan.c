/*-------------------------------------------------------------------------
 *
 * scan.c
 *	  JSON bytes without a tree: check them, walk them and read them in place.
 *
 * An order stays bytes until a column is needed.  A page is checked strictly
 * once, while it is split into orders.  Afterwards a value that is not needed
 * costs only a look at its brackets and quotes, many bytes at a time.
 *
 * All places that a row needs are found in one pass.  They form a tree, and
 * the document is walked only where that tree leads; everything else is
 * skipped.  Servers write the members of an object in the same order every
 * time, so the place expected next is compared first.
 *
 * The checker does not recurse: it keeps the nesting as one bit per level.  A
 * find recurses as deep as the longest path, which is limited.
 *
 * Not here: UTF-8 and the conversion of values, except plain integers.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/json/scan.c
 *
 *-------------------------------------------------------------------------
 */
#include <stdio.h>
#include <string.h>

#include "json/scan.h"

/* no node */
#define NONE (-1)

/*
 * The functions that read tokens take the position of a token and return the
 * position behind it, or NULL after recording the error here.  None of them
 * reads at or behind `end`.
 */
typedef struct Lexer
{
	const char *start;			/* from which the offset of an error counts */
	const char *end;			/* behind the last byte */
	ImpiloJsonError *error;
} Lexer;

static const char *
fail(Lexer *lex, const char *p, const char *what)
{
	lex->error->offset = (size_t) (p - lex->start);
	lex->error->what = what;
	return NULL;
}

/* ------------------------------------------------------------------------
 * Many bytes at a time
 *
 * SSE2 (every x86-64) is worth a third of the time of a scan.  Without it,
 * or with IMPILO_JSON_PORTABLE for tests, bytes are read one by one.
 * ------------------------------------------------------------------------
 */

/* State between the blocks of a container that is skipped */
typedef struct Skip
{
	int64_t		depth;			/* containers still open */
	bool		in_string;
	bool		escaped;		/* the previous block ended in a backslash */
} Skip;

/* bytes that skip_block() reads: one bit each */
#define BLOCK 64

#if defined(__SSE2__) && defined(__GNUC__) && !defined(IMPILO_JSON_PORTABLE)
#include <emmintrin.h>

/* One bit for each byte that equals c, the first byte lowest */
static inline uint64_t
match(__m128i bytes, char c)
{
	return (unsigned int) _mm_movemask_epi8(_mm_cmpeq_epi8(bytes,
														   _mm_set1_epi8(c)));
}

/*
 * Skip plain characters of a string, 16 at a time.  At the position returned
 * is a quote, a backslash or a control character, or the end is near.
 */
static inline const char *
plain_blocks(const char *p, const char *end)
{
	for (; end - p >= 16; p += 16)
	{
		__m128i		bytes = _mm_loadu_si128((const __m128i *) p);
		__m128i		capped = _mm_min_epu8(bytes, _mm_set1_epi8(0x1f));
		__m128i		control = _mm_cmpeq_epi8(capped, bytes);
		uint64_t	stops = match(bytes, '"') | match(bytes, '\\') |
		(unsigned int) _mm_movemask_epi8(control);

		if (stops != 0)
			return p + __builtin_ctzll(stops);
	}
	return p;
}

/*
 * Count the brackets of a block.  Quotes, backslashes and brackets become one
 * word of bits each; a prefix XOR of the quotes marks what is inside of
 * strings.  Returns the number of bytes up to behind the bracket that closes
 * the container, or 0 if it is not among them.
 */
static inline int
skip_block(Skip *skip, const char *p)
{
	uint64_t	strings = 0;
	uint64_t	backslashes = 0;
	uint64_t	opening = 0;
	uint64_t	closing = 0;
	uint64_t	escaped = skip->escaped;
	uint64_t	bit;

	for (int i = 0; i < BLOCK; i += 16)
	{
		__m128i		bytes = _mm_loadu_si128((const __m128i *) (p + i));

		/* with this bit '[' is '{', ']' is '}', and no other byte is */
		__m128i		folded = _mm_or_si128(bytes, _mm_set1_epi8(0x20));

		strings |= match(bytes, '"') << i;
		backslashes |= match(bytes, '\\') << i;
		opening |= match(folded, '{') << i;
		closing |= match(folded, '}') << i;
	}
	skip->escaped = false;
	for (; backslashes != 0; backslashes &= backslashes - 1)
	{
		bit = backslashes & (~backslashes + 1);
		if ((escaped & bit) == 0)
		{
			escaped |= bit << 1;
			skip->escaped = bit >> (BLOCK - 1);
		}
	}
	strings &= ~escaped;
	for (int i = 1; i < BLOCK; i *= 2)
		strings ^= strings << i;
	if (skip->in_string)
		strings = ~strings;
	skip->in_string = strings >> (BLOCK - 1);

	opening &= ~strings;
	closing &= ~strings;
	for (uint64_t left = opening | closing; left != 0; left &= left - 1)
	{
		bit = left & (~left + 1);
		skip->depth += (opening & bit) != 0 ? 1 : -1;
		if (skip->depth == 0)
			return __builtin_ctzll(bit) + 1;
	}
	return 0;
}

#else							/* one byte at a time */
#define plain_blocks(p, end) (p)

static int
skip_block(Skip *skip, const char *p)
{
	for (int i = 0; i < BLOCK; i++)
	{
		if (skip->escaped)
			skip->escaped = false;
		else if (p[i] == '"')
			skip->in_string = !skip->in_string;
		else if (skip->in_string)
			skip->escaped = p[i] == '\\';
		else if (p[i] == '{' || p[i] == '[')
			skip->depth++;
		else if ((p[i] == '}' || p[i] == ']') && --skip->depth == 0)
			return i + 1;
	}
	return 0;
}
#endif

/* The first quote, backslash or control character from p on, or the end */
static inline const char *
plain_run(const char *p, const char *end)
{
	p = plain_blocks(p, end);
	while (p < end && *p != '"' && *p != '\\' && (unsigned char) *p >= 0x20)
		p++;
	return p;
}

/*
 * Returns the position behind the bracket that closes the container in which
 * p is, outside of strings.  Looks at brackets and quotes only.
 */
static const char *
skip_container(Lexer *lex, const char *p)
{
	Skip		skip = {1, false, false};
	char		last[BLOCK];
	int			length;

	for (; lex->end - p >= BLOCK; p += BLOCK)
	{
		length = skip_block(&skip, p);
		if (length != 0)
			return p + length;
	}
	memset(last, ' ', sizeof(last));
	memcpy(last, p, (size_t) (lex->end - p));
	length = skip_block(&skip, last);
	return length != 0 ? p + length
		: fail(lex, lex->end, "unterminated array or object");
}

/* ------------------------------------------------------------------------
 * Tokens
 *
 * Always inline, because a page consists of tens of thousands of tokens of
 * some ten bytes each.
 * ------------------------------------------------------------------------
 */
#define ALWAYS_INLINE inline __attribute__((always_inline))

static ALWAYS_INLINE const char *
skip_space(const char *p, const char *end)
{
	while (p < end && (unsigned char) *p <= ' ' &&
		   (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t'))
		p++;
	return p;
}

/* The kind is known, or it is a container: then the first byte says which */
static ALWAYS_INLINE const char *
set_slice(ImpiloJsonSlice *value, const char *start, const char *end,
		  ImpiloJsonKind kind)
{
	value->data = start;
	value->length = (size_t) (end - start);
	value->kind = kind != IMPILO_JSON_ARRAY || *start == '[' ? kind :
		IMPILO_JSON_OBJECT;
	value->escaped = false;
	return end;
}

/*
 * Read the escape whose backslash is at p, and the UTF-16 unit it stands for.
 * Returns the position behind it, or NULL if it is not one.
 */
static const char *
read_escape(const char *p, const char *end, uint32_t *unit)
{
	static const char letters[] = "\"\\/bfnrt";
	static const char meanings[] = "\"\\/\b\f\n\r\t";
	const char *letter;

	if (end - p < 2 || p[1] == '\0')
		return NULL;
	letter = strchr(letters, p[1]);
	if (letter != NULL)
	{
		*unit = (unsigned char) meanings[letter - letters];
		return p + 2;
	}
	if (p[1] != 'u' || end - p < 6)
		return NULL;
	*unit = 0;
	for (p += 2, end = p + 4; p < end; p++)
	{
		if (*p >= '0' && *p <= '9')
			*unit = *unit * 16 + (uint32_t) (*p - '0');
		else if ((*p | 0x20) >= 'a' && (*p | 0x20) <= 'f')
			*unit = *unit * 16 + (uint32_t) ((*p | 0x20) - 'a' + 10);
		else
			return NULL;
	}
	return p;
}

/* A string whose opening quote is at p */
static ALWAYS_INLINE const char *
read_string(Lexer *lex, const char *p, ImpiloJsonSlice *value)
{
	const char *start = p;
	bool		escaped = false;
	uint32_t	unit;

	p = plain_run(p + 1, lex->end);
	while (p == lex->end || *p != '"')
	{
		const char *escape = p;

		if (p == lex->end)
			return fail(lex, start, "unterminated string");
		if (*p != '\\')
			return fail(lex, p, "control character in a string");
		escaped = true;
		p = read_escape(p, lex->end, &unit);
		if (p == NULL)
			return fail(lex, escape, "invalid escape in a string");
		p = plain_run(p, lex->end);
	}
	p = set_slice(value, start, p + 1, IMPILO_JSON_STRING);
	value->escaped = escaped;
	return p;
}

/* One digit or more */
static ALWAYS_INLINE const char *
read_digits(Lexer *lex, const char *p)
{
	const char *start = p;

	while (p < lex->end && *p >= '0' && *p <= '9')
		p++;
	return p > start ? p : fail(lex, p, "digit expected");
}

static ALWAYS_INLINE const char *
read_number(Lexer *lex, const char *p, ImpiloJsonSlice *value)
{
	const char *start = p;

	p += *p == '-';
	p = p < lex->end && *p == '0' ? p + 1 : read_digits(lex, p);
	if (p != NULL && p < lex->end && *p == '.')
		p = read_digits(lex, p + 1);
	if (p != NULL && p < lex->end && (*p == 'e' || *p == 'E'))
	{
		p++;
		p += p < lex->end && (*p == '+' || *p == '-');
		p = read_digits(lex, p);
	}
	return p ? set_slice(value, start, p, IMPILO_JSON_NUMBER) : NULL;
}

static const char *
read_literal(Lexer *lex, const char *p, ImpiloJsonSlice *value)
{
	size_t		left = (size_t) (lex->end - p);

	if (left >= 4 && memcmp(p, "true", 4) == 0)
		return set_slice(value, p, p + 4, IMPILO_JSON_BOOL);
	if (left >= 5 && memcmp(p, "false", 5) == 0)
		return set_slice(value, p, p + 5, IMPILO_JSON_BOOL);
	if (left >= 4 && memcmp(p, "null", 4) == 0)
		return set_slice(value, p, p + 4, IMPILO_JSON_NULL);
	return fail(lex, p, "value expected");
}

/* A value that is not a container; p is before the end */
static ALWAYS_INLINE const char *
read_scalar(Lexer *lex, const char *p, ImpiloJsonSlice *value)
{
	if (*p == '"')
		return read_string(lex, p, value);
	if ((*p >= '0' && *p <= '9') || *p == '-')
		return read_number(lex, p, value);
	return read_literal(lex, p, value);
}

/* The name of a member and its colon, up to the value */
static ALWAYS_INLINE const char *
read_name(Lexer *lex, const char *p, ImpiloJsonSlice *name)
{
	if (p == lex->end || *p != '"')
		return fail(lex, p, "member name expected");
	p = read_string(lex, p, name);
	if (p == NULL)
		return NULL;
	p = skip_space(p, lex->end);
	if (p == lex->end || *p != ':')
		return fail(lex, p, "colon expected");
	return skip_space(p + 1, lex->end);
}

/* ------------------------------------------------------------------------
 * Containers
 * ------------------------------------------------------------------------
 */

/*
 * Go from behind the opening bracket (`first`), or from behind a value, to
 * the next element or member name.  If there is none, *closed is set and the
 * position is the one behind the closing bracket.
 */
static ALWAYS_INLINE const char *
next_place(Lexer *lex, const char *p, bool object, bool first, bool *closed)
{
	*closed = false;
	p = skip_space(p, lex->end);
	if (p == lex->end)
		return fail(lex, p, object ? "unterminated object" :
					"unterminated array");
	if (*p == ',' && !first)
		return skip_space(p + 1, lex->end);
	if (*p == (object ? '}' : ']'))
	{
		*closed = true;
		return p + 1;
	}
	if (first)
		return p;
	return fail(lex, p, object ? "comma or closing brace expected" :
				"comma or closing bracket expected");
}

static const char *read_container(Lexer *lex, const char *p, int max_depth,
								  ImpiloJsonSlice *value);

/*
 * The value at p: checked with everything inside it, at most `max_depth`
 * containers deep, or with IMPILO_JSON_CHECKED skipped.
 */
static ALWAYS_INLINE const char *
read_value(Lexer *lex, const char *p, int max_depth, ImpiloJsonSlice *value)
{
	if (p == lex->end)
		return fail(lex, p, "value expected");
	if (*p == '{' || *p == '[')
		return read_container(lex, p, max_depth, value);
	return read_scalar(lex, p, value);
}

static const char *
read_container(Lexer *lex, const char *p, int max_depth,
			   ImpiloJsonSlice *value)
{
	const char *start = p;
	bool		object = *p == '{';
	bool		closed = max_depth == IMPILO_JSON_CHECKED;
	ImpiloJsonSlice inner;

	if (max_depth == 0)
		return fail(lex, p, "nested too deeply");
	p = closed ? skip_container(lex, p + 1)
		: next_place(lex, p + 1, object, true, &closed);
	while (p != NULL && !closed)
	{
		if (object)
			p = read_name(lex, p, &inner);
		if (p != NULL)
			p = read_value(lex, p, max_depth - 1, &inner);
		if (p != NULL)
			p = next_place(lex, p, object, false, &closed);
	}
	return p ? set_slice(value, start, p, IMPILO_JSON_ARRAY) : NULL;
}

/*
 * impilo_json_check
 *		Check that the bytes are exactly one JSON value (RFC 8259) with
 *		optional white space around it.
 *
 * At most `max_depth` containers may be nested; values above
 * IMPILO_JSON_MAX_DEPTH count as that.  Repeated member names are accepted.
 * Returns true and the value without white space, or false and `error`.
 */
bool
impilo_json_check(const char *data, size_t length, int max_depth,
				  ImpiloJsonSlice *value, ImpiloJsonError *error)
{
	Lexer		lex = {data, data + length, error};
	const char *p = read_value(&lex, skip_space(data, lex.end),
							   max_depth < IMPILO_JSON_MAX_DEPTH ? max_depth
							   : IMPILO_JSON_MAX_DEPTH, value);

	p = p ? skip_space(p, lex.end) : NULL;
	if (p != NULL && p != lex.end)
		p = fail(&lex, p, "text after the end of the value");
	return p != NULL;
}

/*
 * impilo_json_begin
 *		Position a cursor before the first element of an array or member of an
 *		object, which may have white space around it.
 *
 * `max_depth` includes the container itself: elements are checked as by
 * impilo_json_check.  With IMPILO_JSON_CHECKED nested containers are only
 * skipped, which is much faster.  With IMPILO_JSON_OPEN they are not read at
 * all: the slice of one goes on to the end of the bytes.  The caller reads it
 * to its end with another cursor of this kind, and copies `at` from there.
 */
void
impilo_json_begin(ImpiloJsonCursor *cursor, const ImpiloJsonSlice *container,
				  int max_depth)
{
	cursor->start = container->data;
	cursor->end = container->data + container->length;
	cursor->at = skip_space(container->data, cursor->end);
	cursor->max_depth = max_depth;
	cursor->first = true;
}

/*
 * impilo_json_next
 *		Read the next element of an array (`name` is NULL) or the next member
 *		of an object.
 *
 * Returns 1 and the element or member; 0 at the end of the container, of
 * which then every byte has been read; or -1 and `error` (offset from the
 * container's first byte), after which the cursor must not be used.  A value
 * that is not an array, or not an object, is an error.  Any bytes are safe.
 */
int
impilo_json_next(ImpiloJsonCursor *cursor, ImpiloJsonSlice *name,
				 ImpiloJsonSlice *value, ImpiloJsonError *error)
{
	Lexer		lex = {cursor->start, cursor->end, error};
	bool		object = name != NULL;
	bool		closed = false;
	int			max_depth = cursor->max_depth;
	const char *p = cursor->at;

	if (cursor->first)
	{
		if (p < lex.end && *p == (object ? '{' : '['))
			p++;
		else
			p = fail(&lex, p, object ? "object expected" : "array expected");
	}
	if (p != NULL)
		p = next_place(&lex, p, object, cursor->first, &closed);
	if (closed)
	{
		/* a slice that goes on was not cut at its closing bracket */
		if (max_depth == IMPILO_JSON_OPEN)
			cursor->at = p;
		else if (skip_space(p, lex.end) != lex.end)
			p = fail(&lex, skip_space(p, lex.end),
					 "text after the end of the value");
		if (p != NULL)
			return 0;
	}
	if (p != NULL && object)
		p = read_name(&lex, p, name);
	if (p != NULL && p < lex.end && max_depth == IMPILO_JSON_OPEN &&
		(*p == '{' || *p == '['))
		(void) set_slice(value, p, lex.end, IMPILO_JSON_ARRAY);
	else if (p != NULL)
		p = read_value(&lex, p, max_depth < 0 ? IMPILO_JSON_CHECKED
					   : max_depth - 1, value);
	if (p == NULL)
		return -1;
	cursor->at = p;
	cursor->first = false;
	return 1;
}

/*
 * impilo_json_member
 *		Returns the first member with a name of an object that was checked;
 *		ABSENT if it has none, or for any other value.
 */
ImpiloJsonSlice
impilo_json_member(const ImpiloJsonSlice *object, const char *name)
{
	ImpiloJsonCursor cursor;
	ImpiloJsonSlice found;
	ImpiloJsonSlice value;
	ImpiloJsonError error;
	size_t		length = strlen(name);

	if (object->kind == IMPILO_JSON_OBJECT)
	{
		impilo_json_begin(&cursor, object, IMPILO_JSON_CHECKED);
		while (impilo_json_next(&cursor, &found, &value, &error) > 0)
		{
			if (impilo_json_name_equals(&found, name, length))
				return value;
		}
	}
	return (ImpiloJsonSlice)
	{
		.kind = IMPILO_JSON_ABSENT
	};
}

/* ------------------------------------------------------------------------
 * The set of places
 * ------------------------------------------------------------------------
 */

/* A node without anything below it */
static const ImpiloJsonNode empty_node = {
	.slot = NONE,.child = NONE,.sibling = NONE
};

/*
 * impilo_json_want_begin
 *		Make an empty set in the caller's nodes.
 *
 * A capacity of 1 plus the number of slashes in all pointers is always
 * enough; it must be at least 1.
 */
void
impilo_json_want_begin(ImpiloJsonWanted *wanted, ImpiloJsonNode *nodes,
					   size_t capacity)
{
	nodes[0] = empty_node;
	wanted->nodes = nodes;
	wanted->capacity = capacity < INT32_MAX ? capacity : INT32_MAX;
	wanted->used = 1;
	wanted->slots = 0;
	wanted->serial = 0;
}

/* Returns whether a name without escapes is that of the node */
static inline bool
is_named(const ImpiloJsonNode *node, const char *name, size_t length)
{
	return node->length == length && memcmp(node->name, name, length) == 0;
}

/*
 * The node one step below.  A new one goes behind its siblings: the order of
 * the paths is a good guess at the order of the members.
 */
static int32_t
node_below(ImpiloJsonWanted *wanted, int32_t parent, const char *name,
		   size_t length)
{
	ImpiloJsonNode *nodes = wanted->nodes;
	int32_t    *link = &nodes[parent].child;
	int32_t		added;

	for (; *link != NONE; link = &nodes[*link].sibling)
	{
		if (is_named(&nodes[*link], name, length))
			return *link;
	}
	if (wanted->used >= wanted->capacity)
		return NONE;
	added = (int32_t) wanted->used++;
	*link = added;
	nodes[added] = empty_node;
	nodes[added].name = name;
	nodes[added].length = length;
	nodes[parent].children++;
	nodes[parent].lengths |= UINT64_C(1) << (length & 63);
	return added;
}

/*
 * impilo_json_want
 *		Add the place that a JSON Pointer (RFC 6901) names, and return its
 *		slot: the value will be in found[slot].
 *
 * The first place gets slot 0, each new one the next, and a place that is in
 * the set already its old one.  Pointers may share steps, and one may lead
 * through another.  The pointer is decoded in place and must live as long as
 * the set.  Returns -1 and `error` if it is not a pointer, for the step "-",
 * and if it has more than IMPILO_JSON_MAX_DEPTH steps, which no checked
 * document has, or more than there are nodes left.
 */
int32_t
impilo_json_want(ImpiloJsonWanted *wanted, char *pointer, size_t length,
				 ImpiloJsonError *error)
{
	Lexer		lex = {pointer, pointer + length, error};
	const char *wrong = NULL;
	char	   *p = pointer;
	int32_t		node = 0;

	if (length > 0 && *p != '/')
		wrong = "a pointer must be empty or begin with a slash";
	for (int steps = 1; wrong == NULL && p < lex.end; steps++)
	{
		char	   *name = ++p;
		size_t		n = 0;

		for (; p < lex.end && *p != '/' && wrong == NULL; p++)
		{
			if (*p != '~')
				name[n++] = *p;
			else if (p + 1 < lex.end && (p[1] == '0' || p[1] == '1'))
				name[n++] = *++p == '0' ? '~' : '/';
			else
				wrong = "a tilde must be followed by 0 or 1";
		}
		if (wrong != NULL)
			p--;
		else if (n == 1 && *name == '-')
		{
			p = name;
			wrong = "the step \"-\" names the element after the last one, which cannot be read";
		}
		else
			node = node_below(wanted, node, name, n);
		if (steps > IMPILO_JSON_MAX_DEPTH || node == NONE)
			wrong = "too many steps";
	}
	if (wrong != NULL)
	{
		(void) fail(&lex, p, wrong);
		return -1;
	}
	if (wanted->nodes[node].slot == NONE)
		wanted->nodes[node].slot = wanted->slots++;
	return wanted->nodes[node].slot;
}

/* ------------------------------------------------------------------------
 * Finding
 * ------------------------------------------------------------------------
 */

/*
 * The node below `parent` for a member name, or NONE.  `expected` (or NONE)
 * is compared first.
 */
static inline int32_t
wanted_member(const ImpiloJsonNode *nodes, int32_t parent, int32_t expected,
			  const ImpiloJsonSlice *name)
{
	const char *text = name->data + 1;
	size_t		length = name->length - 2;
	int32_t		at = nodes[parent].child;

	if (!name->escaped)
	{
		if ((nodes[parent].lengths >> (length & 63) & 1) == 0)
			return NONE;
		if (expected != NONE && is_named(&nodes[expected], text, length))
			return expected;
	}
	while (at != NONE &&
		   !(name->escaped
			 ? impilo_json_name_equals(name, nodes[at].name, nodes[at].length)
			 : is_named(&nodes[at], text, length)))
		at = nodes[at].sibling;
	return at;
}

/*
 * Find what the set has below a node, whose value is a container.  *behind is
 * set to the position behind the container; NULL: the rest is not read.
 */
static bool
find_below(ImpiloJsonWanted *wanted, int32_t node,
		   const ImpiloJsonSlice *value, ImpiloJsonSlice *found,
		   const char **behind, ImpiloJsonError *error)
{
	Lexer		lex = {value->data, value->data + value->length, error};
	ImpiloJsonNode *nodes = wanted->nodes;
	int32_t		expected = nodes[node].child;
	int32_t		pending = nodes[node].children; /* not found yet */
	bool		object = value->kind == IMPILO_JSON_OBJECT;
	char		index_name[16];
	ImpiloJsonSlice name = {index_name, 0, IMPILO_JSON_STRING, false};
	ImpiloJsonSlice item;
	ImpiloJsonCursor cursor;
	int			more = 1;

	impilo_json_begin(&cursor, value, IMPILO_JSON_OPEN);
	for (int index = 0; pending > 0; index++)
	{
		int32_t		at;

		more = impilo_json_next(&cursor, object ? &name : NULL, &item, error);
		if (more <= 0)
			break;
		/* an element of an array is a member with its index as the name */
		if (!object)
			name.length = (size_t) snprintf(index_name, sizeof(index_name),
											"\"%d\"", index);
		at = wanted_member(nodes, node, expected, &name);
		if (at != NONE)
		{
			if (nodes[at].found_by == wanted->serial)
			{
				error->what = "duplicate member";
				return false;
			}
			nodes[at].found_by = wanted->serial;
			expected = nodes[at].sibling;
			pending--;
		}
		if (item.kind >= IMPILO_JSON_ARRAY)
		{
			if (at == NONE || nodes[at].child == NONE)
				cursor.at = skip_container(&lex, item.data + 1);
			else if (!find_below(wanted, at, &item, found, &cursor.at, error))
				return false;
			if (cursor.at == NULL)
				return false;
			item.length = (size_t) (cursor.at - item.data);
		}
		if (at != NONE && nodes[at].slot != NONE)
			found[nodes[at].slot] = item;
	}
	if (behind != NULL)
		*behind = more > 0 ? skip_container(&lex, cursor.at) : cursor.at;
	return more >= 0;
}

/*
 * impilo_json_find
 *		Find the places of the set in one document, which has passed a check.
 *
 * Fills found[0 .. wanted->slots - 1]; a place that the document does not
 * have is ABSENT.  A container is read until all that is wanted from it has
 * been found.  Returns false and what is wrong (without an offset) if a
 * member that leads to a place of the set is repeated in what was read,
 * because then neither value can be trusted.  Bytes that were not checked are
 * safe, but the result is then meaningless.
 */
bool
impilo_json_find(ImpiloJsonWanted *wanted, const ImpiloJsonSlice *document,
				 ImpiloJsonSlice *found, ImpiloJsonError *error)
{
	memset(found, 0, sizeof(*found) * (size_t) wanted->slots);
	wanted->serial++;
	if (wanted->nodes[0].slot != NONE)
		found[wanted->nodes[0].slot] = *document;
	return document->kind < IMPILO_JSON_ARRAY ||
		find_below(wanted, 0, document, found, NULL, error);
}

/* ------------------------------------------------------------------------
 * Scalars
 * ------------------------------------------------------------------------
 */

/*
 * Decode the escape whose backslash is at *at, with the second half of a
 * surrogate pair, into at most four bytes of UTF-8, and move *at behind it.
 * Returns NULL, or what the escape is instead of a character.
 */
static const char *
decode_escape(const char **at, const char *end, char *out, size_t *written)
{
	static const uint32_t first_marks[] = {0, 0, 0xC0, 0xE0, 0xF0};
	uint32_t	code;
	uint32_t	low;
	const char *p = read_escape(*at, end, &code);

	if (p == NULL)
		return "an invalid escape";
	if (code == 0)
		return "the character \\u0000";
	if (code >= 0xD800 && code <= 0xDFFF)
	{
		p = code < 0xDC00 && p < end && *p == '\\'
			? read_escape(p, end, &low) : NULL;
		if (p == NULL || low < 0xDC00 || low > 0xDFFF)
			return "half of a surrogate pair";
		code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
	}
	*at = p;
	*written = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
	for (size_t i = *written - 1; i > 0; i--, code >>= 6)
		out[i] = (char) (0x80 | (code & 0x3F));
	out[0] = (char) (first_marks[*written] | code);
	return NULL;
}

/*
 * impilo_json_unescape
 *		Decode a string into UTF-8 (if its plain bytes are UTF-8).
 *
 * `buffer` has space for string->length bytes; the result is shorter, so that
 * the caller can add a NUL.  Returns NULL and sets `*length` to the bytes
 * written; or returns, as a noun phrase in static memory, what the string
 * has that is not a character.  The text of a slice that is not `escaped` is
 * simply the bytes between the quotes.
 */
const char *
impilo_json_unescape(const ImpiloJsonSlice *string, char *buffer,
					 size_t *length)
{
	const char *p = string->data + 1;
	const char *end = string->data + string->length - 1;
	const char *wrong = NULL;

	*length = 0;
	while (p < end && wrong == NULL)
	{
		const char *escape = memchr(p, '\\', (size_t) (end - p));
		size_t		plain = (size_t) ((escape ? escape : end) - p);
		size_t		written = 0;

		memcpy(buffer + *length, p, plain);
		*length += plain;
		p += plain;
		if (escape != NULL)
			wrong = decode_escape(&p, end, buffer + *length, &written);
		*length += written;
	}
	return wrong;
}

/*
 * impilo_json_name_equals
 *		Returns whether a string, decoded, is the given bytes.
 *
 * A string that does not decode is equal to nothing.
 */
bool
impilo_json_name_equals(const ImpiloJsonSlice *name, const char *utf8,
						size_t length)
{
	const char *p = name->data + 1;
	const char *end = name->data + name->length - 1;

	if (!name->escaped)
		return (size_t) (end - p) == length && memcmp(p, utf8, length) == 0;
	while (p < end)
	{
		char		decoded[4];
		size_t		written = 1;

		if (*p != '\\')
			decoded[0] = *p++;
		else if (decode_escape(&p, end, decoded, &written) != NULL)
			return false;
		if (written > length || memcmp(decoded, utf8, written) != 0)
			return false;
		utf8 += written;
		length -= written;
	}
	return length == 0;
}

/*
 * impilo_json_int64
 *		Read a number that is written as a plain integer of at most 64 bits.
 *
 * Returns false for anything else, also for fractions and exponents (1e3).
 */
bool
impilo_json_int64(const ImpiloJsonSlice *number, int64_t *value)
{
	bool		negative;
	uint64_t	limit;
	uint64_t	result = 0;

	if (number->kind != IMPILO_JSON_NUMBER)
		return false;
	negative = number->data[0] == '-';
	limit = (uint64_t) INT64_MAX + (negative ? 1 : 0);
	for (size_t i = negative; i < number->length; i++)
	{
		uint64_t	digit = (uint64_t) (unsigned char) number->data[i] - '0';

		if (digit > 9 || result > (limit - digit) / 10)
			return false;
		result = result * 10 + digit;
	}
	*value = (int64_t) (negative ? 0 - result : result);
	return true;
}

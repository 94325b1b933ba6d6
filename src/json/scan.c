/*-------------------------------------------------------------------------
 *
 * scan.c
 *	  JSON bytes without a tree: check them, walk them and read them in place.
 *
 * An order stays bytes until a column is needed.  A page is checked strictly
 * once, while it is split into orders.  Afterwards a value that is not needed
 * costs only a look at its brackets and quotes, 64 bytes at a time.
 *
 * All places that a row needs are found in one pass.  They form a tree, and
 * the document is walked only where that tree leads; everything else is
 * skipped.  Servers write the members of an object in the same order every
 * time, so the place expected next is compared first.
 *
 * Nothing here recurses.  The checker keeps the nesting as one bit per level,
 * and a find is as deep as the longest path, which is limited.
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
	const char *end;			/* behind the last byte */
	const char *failed;			/* position of the error */
	const char *what;			/* the error, or NULL */
} Lexer;

static const char *
fail(Lexer *lex, const char *p, const char *what)
{
	lex->failed = p;
	lex->what = what;
	return NULL;
}

/* ------------------------------------------------------------------------
 * Many bytes at a time
 *
 * SSE2 (every x86-64) is worth a third of the time of a scan.  Without it,
 * or with IMPILO_JSON_PORTABLE for tests, bytes are read one by one.
 * ------------------------------------------------------------------------
 */
#if defined(__SSE2__) && defined(__GNUC__) && !defined(IMPILO_JSON_PORTABLE)
#include <emmintrin.h>

/* One bit for each byte that equals c, the first byte lowest */
static inline uint64_t
match(__m128i bytes, char c)
{
	return (unsigned int) _mm_movemask_epi8(_mm_cmpeq_epi8(bytes,
														   _mm_set1_epi8(c)));
}

/* The first quote, backslash or control character from p on, or the end */
static inline const char *
plain_run(const char *p, const char *end)
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
	while (p < end && *p != '"' && *p != '\\' && (unsigned char) *p >= 0x20)
		p++;
	return p;
}

/* State between the blocks of one skip */
typedef struct SkipState
{
	int64_t		depth;			/* containers still open */
	uint64_t	in_string;		/* all ones inside a string, else 0 */
	bool		escaped;		/* the previous block ended in a backslash */
} SkipState;

/* Returns which bytes are escaped by a backslash before them */
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

		*carry |= next == 0;
		escaped |= next;
		backslashes &= ~(backslash | next);
	}
	return escaped;
}

/*
 * Count the brackets of 64 bytes.  Quotes, backslashes and brackets become
 * one word of bits each; a prefix XOR of the quotes marks what is inside of
 * strings.  Returns the number of bytes up to behind the bracket that closes
 * the container, or 0 if it is not among them.
 */
static inline int
skip_block(SkipState *state, const char *p)
{
	uint64_t	strings = 0;
	uint64_t	backslashes = 0;
	uint64_t	opening = 0;
	uint64_t	closing = 0;
	uint64_t	brackets;

	for (int i = 0; i < 64; i += 16)
	{
		__m128i		bytes = _mm_loadu_si128((const __m128i *) (p + i));

		/* with this bit '[' is '{', ']' is '}', and no other byte is */
		__m128i		folded = _mm_or_si128(bytes, _mm_set1_epi8(0x20));

		strings |= match(bytes, '"') << i;
		backslashes |= match(bytes, '\\') << i;
		opening |= match(folded, '{') << i;
		closing |= match(folded, '}') << i;
	}
	if (backslashes != 0 || state->escaped)
		strings &= ~escaped_bytes(backslashes, &state->escaped);
	for (int i = 1; i < 64; i *= 2)
		strings ^= strings << i;
	strings ^= state->in_string;
	state->in_string = (uint64_t) 0 - (strings >> 63);
	opening &= ~strings;
	closing &= ~strings;

	for (brackets = opening | closing; brackets != 0; brackets &= brackets - 1)
	{
		uint64_t	bracket = brackets & (~brackets + 1);

		state->depth += (opening & bracket) != 0 ? 1 : -1;
		if (state->depth == 0)
			return __builtin_ctzll(bracket) + 1;
	}
	return 0;
}

/*
 * Returns the position behind the bracket that closes the container in which
 * p is, outside of strings.  Looks at brackets and quotes only.
 */
static const char *
skip_container(Lexer *lex, const char *p)
{
	SkipState	state = {1, 0, false};
	char		last[64];
	int			length;

	for (; lex->end - p >= 64; p += 64)
	{
		length = skip_block(&state, p);
		if (length != 0)
			return p + length;
	}
	memset(last, ' ', sizeof(last));
	memcpy(last, p, (size_t) (lex->end - p));
	length = skip_block(&state, last);
	if (length != 0)
		return p + length;
	return fail(lex, lex->end, "unterminated array or object");
}

#else							/* one byte at a time */

static inline const char *
plain_run(const char *p, const char *end)
{
	while (p < end && *p != '"' && *p != '\\' && (unsigned char) *p >= 0x20)
		p++;
	return p;
}

static const char *
skip_container(Lexer *lex, const char *p)
{
	bool		in_string = false;

	for (int64_t depth = 1; p < lex->end; p++)
	{
		if (*p == '"')
			in_string = !in_string;
		else if (in_string)
			p += *p == '\\' && lex->end - p > 1;
		else if (*p == '{' || *p == '[')
			depth++;
		else if ((*p == '}' || *p == ']') && --depth == 0)
			return p + 1;
	}
	return fail(lex, p, "unterminated array or object");
}

#endif

/* ------------------------------------------------------------------------
 * Tokens
 *
 * Inline, because a page consists of tens of thousands of tokens of some ten
 * bytes each.
 * ------------------------------------------------------------------------
 */

static inline const char *
skip_space(const char *p, const char *end)
{
	while (p < end && (unsigned char) *p <= ' ' &&
		   (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t'))
		p++;
	return p;
}

/* The kind is known, or it is a container: then the first byte says which */
static inline const char *
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
static inline const char *
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
static inline const char *
read_digits(Lexer *lex, const char *p)
{
	const char *start = p;

	while (p < lex->end && *p >= '0' && *p <= '9')
		p++;
	return p > start ? p : fail(lex, p, "digit expected");
}

static inline const char *
read_number(Lexer *lex, const char *p, ImpiloJsonSlice *value)
{
	const char *start = p;

	if (*p == '-')
		p++;
	if (p < lex->end && *p == '0')
		p++;
	else
		p = read_digits(lex, p);
	if (p != NULL && p < lex->end && *p == '.')
		p = read_digits(lex, p + 1);
	if (p != NULL && p < lex->end && (*p == 'e' || *p == 'E'))
	{
		p++;
		if (p < lex->end && (*p == '+' || *p == '-'))
			p++;
		p = read_digits(lex, p);
	}
	if (p == NULL)
		return NULL;
	return set_slice(value, start, p, IMPILO_JSON_NUMBER);
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
static inline const char *
read_scalar(Lexer *lex, const char *p, ImpiloJsonSlice *value)
{
	if (*p == '"')
		return read_string(lex, p, value);
	if ((*p >= '0' && *p <= '9') || *p == '-')
		return read_number(lex, p, value);
	return read_literal(lex, p, value);
}

/* The name of a member and its colon, up to the value */
static inline const char *
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
static inline const char *
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

/*
 * Check the value at p with everything inside it, at most `max_depth`
 * containers deep.
 */
static const char *
check_value(Lexer *lex, const char *p, int max_depth, ImpiloJsonSlice *value)
{
	const char *start = p;
	uint64_t	objects = 0;	/* one bit per level, the innermost lowest */
	int			depth = 0;
	ImpiloJsonSlice token;

	for (;;)
	{
		bool		first;
		bool		closed;

		if (p == lex->end)
			return fail(lex, p, "value expected");
		first = *p == '{' || *p == '[';
		if (first)
		{
			if (depth >= max_depth || depth >= IMPILO_JSON_MAX_DEPTH)
				return fail(lex, p, "nested too deeply");
			depth++;
			objects = (objects << 1) | (*p == '{');
			p++;
		}
		else
		{
			p = read_scalar(lex, p, depth == 0 ? value : &token);
			if (depth == 0 || p == NULL)
				return p;
		}

		while (p = next_place(lex, p, objects & 1, first, &closed), closed)
		{
			if (--depth == 0)
				return set_slice(value, start, p, IMPILO_JSON_ARRAY);
			objects >>= 1;
			first = false;
		}
		if (p != NULL && (objects & 1) != 0)
			p = read_name(lex, p, &token);
		if (p == NULL)
			return NULL;
	}
}

/* The value at p, in bytes that have been checked */
static inline const char *
skip_value(Lexer *lex, const char *p, ImpiloJsonSlice *value)
{
	const char *start = p;

	if (p == lex->end)
		return fail(lex, p, "value expected");
	if (*p != '{' && *p != '[')
		return read_scalar(lex, p, value);
	p = skip_container(lex, p + 1);
	return p ? set_slice(value, start, p, IMPILO_JSON_ARRAY) : NULL;
}

/*
 * End of a function of the interface: p is the position reached or NULL.
 * Reports the error, if there was one, with its offset from `start`.
 */
static bool
succeed(const Lexer *lex, const char *p, const char *start,
		ImpiloJsonError *error)
{
	if (p != NULL)
		return true;
	error->offset = (size_t) (lex->failed - start);
	error->what = lex->what;
	return false;
}

/* Nothing but white space may follow the outermost value */
static const char *
expect_end(Lexer *lex, const char *p)
{
	p = skip_space(p, lex->end);
	return p == lex->end ? p : fail(lex, p, "text after the end of the value");
}

bool
impilo_json_check(const char *data, size_t length, int max_depth,
				  ImpiloJsonSlice *value, ImpiloJsonError *error)
{
	Lexer		lex = {data + length, NULL, NULL};
	const char *p = skip_space(data, lex.end);

	p = check_value(&lex, p, max_depth, value);
	if (p != NULL)
		p = expect_end(&lex, p);
	return succeed(&lex, p, data, error);
}

void
impilo_json_begin(ImpiloJsonCursor *cursor, const ImpiloJsonSlice *container,
				  int max_depth)
{
	cursor->start = container->data;
	cursor->at = container->data;
	cursor->end = container->data + container->length;
	cursor->max_depth = max_depth;
	cursor->first = true;
}

int
impilo_json_next(ImpiloJsonCursor *cursor, ImpiloJsonSlice *name,
				 ImpiloJsonSlice *value, ImpiloJsonError *error)
{
	Lexer		lex = {cursor->end, NULL, NULL};
	bool		object = name != NULL;
	bool		closed = false;
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
		if (p == lex.end)
			return 0;
		p = fail(&lex, p, "text after the end of the value");
	}
	if (p != NULL && object)
		p = read_name(&lex, p, name);
	if (p != NULL)
		p = cursor->max_depth == IMPILO_JSON_CHECKED
			? skip_value(&lex, p, value)
			: check_value(&lex, p, cursor->max_depth - 1, value);
	if (!succeed(&lex, p, cursor->start, error))
		return -1;
	cursor->at = p;
	cursor->first = false;
	return 1;
}

bool
impilo_json_token(const char **p, const char *end, ImpiloJsonSlice *token)
{
	Lexer		lex = {end, NULL, NULL};
	const char *at = *p;

	at = skip_space(at, end);
	while (at < end && (*at == ',' || *at == ':'))
		at = skip_space(at + 1, end);
	if (at == end)
		return false;
	if (*at == '"')
		at = read_string(&lex, at, token);
	else if (*at == '[' || *at == ']' || *at == '{' || *at == '}')
		at = set_slice(token, at, at + 1, IMPILO_JSON_ARRAY);
	else
		at = read_scalar(&lex, at, token);
	*p = at;
	return at != NULL;
}

/* ------------------------------------------------------------------------
 * The set of places
 * ------------------------------------------------------------------------
 */

/* Add a node without anything below it; NONE if there is no space */
static int32_t
new_node(ImpiloJsonWanted *wanted)
{
	ImpiloJsonNode *node;

	if (wanted->used >= wanted->capacity)
		return NONE;
	node = &wanted->nodes[wanted->used];
	memset(node, 0, sizeof(*node));
	node->slot = NONE;
	node->child = NONE;
	node->sibling = NONE;
	return (int32_t) wanted->used++;
}

void
impilo_json_want_begin(ImpiloJsonWanted *wanted, ImpiloJsonNode *nodes,
					   size_t capacity)
{
	wanted->nodes = nodes;
	wanted->capacity = capacity < INT32_MAX ? capacity : INT32_MAX;
	wanted->used = 0;
	wanted->slots = 0;
	wanted->serial = 0;
	(void) new_node(wanted);
}

/* Returns whether a name without escapes is that of the node */
static inline bool
is_named(const ImpiloJsonNode *node, const char *name, size_t length)
{
	return node->step.length == length &&
		memcmp(node->step.name, name, length) == 0;
}

/*
 * The node one step below.  A new one goes behind its siblings: the order of
 * the paths is a good guess at the order of the members.
 */
static int32_t
node_below(ImpiloJsonWanted *wanted, int32_t parent,
		   const ImpiloPointerStep *step)
{
	ImpiloJsonNode *nodes = wanted->nodes;
	int32_t    *link = &nodes[parent].child;
	int32_t		added;

	for (; *link != NONE; link = &nodes[*link].sibling)
	{
		if (is_named(&nodes[*link], step->name, step->length))
			return *link;
	}
	added = new_node(wanted);
	if (added == NONE)
		return NONE;
	*link = added;
	nodes[added].step = *step;
	nodes[parent].children++;
	nodes[parent].indexed += step->index != IMPILO_POINTER_NO_INDEX;
	nodes[parent].lengths |= UINT64_C(1) << (step->length & 63);
	return added;
}

int32_t
impilo_json_want(ImpiloJsonWanted *wanted, const ImpiloPointerStep *steps,
				 size_t count)
{
	int32_t		at = 0;

	if (count > IMPILO_JSON_MAX_DEPTH)
		return -1;
	for (size_t i = 0; i < count && at != NONE; i++)
		at = node_below(wanted, at, &steps[i]);
	if (at == NONE)
		return -1;
	if (wanted->nodes[at].slot == NONE)
		wanted->nodes[at].slot = wanted->slots++;
	return wanted->nodes[at].slot;
}

/* ------------------------------------------------------------------------
 * Finding
 * ------------------------------------------------------------------------
 */

typedef struct Finder
{
	Lexer		lex;
	ImpiloJsonWanted *wanted;
	ImpiloJsonSlice *found;
	int			max_depth;		/* or IMPILO_JSON_CHECKED */
	bool		complete;		/* every place has been met: stop */
} Finder;

/*
 * The node below `parent` for a member name, or NONE.  `expected` (or NONE)
 * is compared first.
 */
static int32_t
wanted_member(const ImpiloJsonNode *nodes, int32_t parent, int32_t expected,
			  const ImpiloJsonSlice *name)
{
	const char *text = name->data + 1;
	size_t		length = name->length - 2;
	int32_t		at;

	if (!name->escaped)
	{
		if ((nodes[parent].lengths >> (length & 63) & 1) == 0)
			return NONE;
		if (expected != NONE && is_named(&nodes[expected], text, length))
			return expected;
	}
	for (at = nodes[parent].child; at != NONE; at = nodes[at].sibling)
	{
		if (name->escaped
			? impilo_json_name_equals(name, nodes[at].step.name,
									  nodes[at].step.length)
			: is_named(&nodes[at], text, length))
			break;
	}
	return at;
}

/* The node below `parent` for an element of an array, or NONE */
static int32_t
wanted_element(const ImpiloJsonNode *nodes, int32_t parent, int32_t index)
{
	int32_t		at = nodes[parent].child;

	while (at != NONE && nodes[at].step.index != index)
		at = nodes[at].sibling;
	return at;
}

/*
 * Pass the value at p of a node (or NONE) that no path leads through.  A
 * container that is found is left to the caller to check.
 */
static const char *
pass_leaf(Finder *finder, const char *p, int32_t node, int depth)
{
	const ImpiloJsonNode *nodes = finder->wanted->nodes;
	int32_t		slot = node == NONE ? NONE : nodes[node].slot;
	ImpiloJsonSlice value;

	if (finder->max_depth == IMPILO_JSON_CHECKED ||
		(slot != NONE && nodes[node].child == NONE &&
		 depth < finder->max_depth))
		p = skip_value(&finder->lex, p, &value);
	else
		p = check_value(&finder->lex, p, finder->max_depth - depth, &value);
	if (p != NULL && slot != NONE)
		finder->found[slot] = value;
	return p;
}

/*
 * Find what the set has at and below a node (or NONE), in the value at p,
 * which is inside `depth` containers.  `last` means that nothing else is
 * needed: with everything here met the find is complete, and the position
 * returned is not the end of the value.
 *
 * The recursion is as deep as the longest path.
 */
static const char *
find_value(Finder *finder, const char *p, int32_t node, int depth, bool last)
{
	ImpiloJsonNode *nodes = finder->wanted->nodes;
	Lexer	   *lex = &finder->lex;
	const char *start = p;
	bool		checked = finder->max_depth == IMPILO_JSON_CHECKED;
	bool		object = p < lex->end && *p == '{';
	bool		closed = false;
	int32_t		pending = 0;	/* nodes below that have not been met */
	int32_t		expected;

	if (node != NONE && p < lex->end && (object || *p == '['))
		pending = object ? nodes[node].children : nodes[node].indexed;
	if (pending == 0)
		return pass_leaf(finder, p, node, depth);
	if (!checked && depth >= finder->max_depth)
		return fail(lex, p, "nested too deeply");

	last = last && nodes[node].slot == NONE;
	expected = nodes[node].child;
	p++;
	for (int32_t index = 0;; index++)
	{
		ImpiloJsonSlice name;
		const char *place;
		int32_t		at = NONE;

		if (pending == 0 && checked)
		{
			finder->complete = last;
			p = last ? p : skip_container(lex, p);
			break;
		}
		place = p = next_place(lex, p, object, index == 0, &closed);
		if (p != NULL && object && !closed)
			p = read_name(lex, p, &name);
		if (p == NULL || closed)
			break;
		if (object)
			at = wanted_member(nodes, node, expected, &name);
		else if (pending > 0)
			at = wanted_element(nodes, node, index);
		if (at != NONE)
		{
			if (object && nodes[at].met == finder->wanted->serial)
				return fail(lex, place, "duplicate member");
			nodes[at].met = finder->wanted->serial;
			expected = nodes[at].sibling;
			pending--;
		}
		p = find_value(finder, p, at, depth + 1, last && pending == 0);
		if (p == NULL || finder->complete)
			return p;
	}
	if (p != NULL && nodes[node].slot != NONE)
		set_slice(&finder->found[nodes[node].slot], start, p,
				  IMPILO_JSON_ARRAY);
	return p;
}

bool
impilo_json_find(ImpiloJsonWanted *wanted, const char *data, size_t length,
				 int max_depth, ImpiloJsonSlice *found,
				 ImpiloJsonError *error)
{
	Finder		finder = {{data + length, NULL, NULL}, wanted, found,
	max_depth, false};
	const char *p;

	if (wanted->slots > 0)
		memset(found, 0, sizeof(*found) * (size_t) wanted->slots);
	wanted->serial++;
	p = find_value(&finder, skip_space(data, finder.lex.end), 0, 0,
				   max_depth == IMPILO_JSON_CHECKED);
	if (p != NULL && max_depth != IMPILO_JSON_CHECKED)
		p = expect_end(&finder.lex, p);
	return succeed(&finder.lex, p, data, error);
}

/* ------------------------------------------------------------------------
 * Scalars
 * ------------------------------------------------------------------------
 */

/* Write a code point above 0 as UTF-8; returns the number of bytes */
static size_t
encode_utf8(uint32_t code, char *out)
{
	static const uint32_t first_marks[] = {0, 0, 0xC0, 0xE0, 0xF0};
	size_t		length = code < 0x80 ? 1 : code < 0x800 ? 2 :
	code < 0x10000 ? 3 : 4;

	for (size_t i = length - 1; i > 0; i--, code >>= 6)
		out[i] = (char) (0x80 | (code & 0x3F));
	out[0] = (char) (first_marks[length] | code);
	return length;
}

/*
 * Decode the escape whose backslash is at *at, with the second half of a
 * surrogate pair, into at most four bytes, and move *at behind it.
 */
static ImpiloJsonText
decode_escape(const char **at, const char *end, char *out, size_t *written)
{
	uint32_t	code;
	uint32_t	low;
	const char *p = read_escape(*at, end, &code);

	if (p == NULL)
		return IMPILO_JSON_TEXT_INVALID;
	if (code == 0)
		return IMPILO_JSON_TEXT_NUL;
	if (code >= 0xD800 && code <= 0xDFFF)
	{
		p = code < 0xDC00 && p < end && *p == '\\'
			? read_escape(p, end, &low) : NULL;
		if (p == NULL || low < 0xDC00 || low > 0xDFFF)
			return IMPILO_JSON_TEXT_SURROGATE;
		code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
	}
	*at = p;
	*written = encode_utf8(code, out);
	return IMPILO_JSON_TEXT_OK;
}

/* The bytes between the quotes; false if it is not a string */
static bool
string_body(const ImpiloJsonSlice *string, const char **p, const char **end)
{
	if (string->kind != IMPILO_JSON_STRING || string->length < 2)
		return false;
	*p = string->data + 1;
	*end = string->data + string->length - 1;
	return true;
}

ImpiloJsonText
impilo_json_unescape(const ImpiloJsonSlice *string, char *buffer,
					 size_t *length)
{
	const char *p;
	const char *end;
	char	   *out = buffer;
	ImpiloJsonText result = IMPILO_JSON_TEXT_OK;

	*length = 0;
	if (!string_body(string, &p, &end))
		return IMPILO_JSON_TEXT_INVALID;
	while (p < end && result == IMPILO_JSON_TEXT_OK)
	{
		const char *escape = memchr(p, '\\', (size_t) (end - p));
		size_t		plain = (size_t) ((escape ? escape : end) - p);
		size_t		written = 0;

		memcpy(out, p, plain);
		out += plain;
		p += plain;
		if (escape != NULL)
			result = decode_escape(&p, end, out, &written);
		out += written;
	}
	*length = (size_t) (out - buffer);
	return result;
}

bool
impilo_json_name_equals(const ImpiloJsonSlice *name, const char *utf8,
						size_t length)
{
	const char *p;
	const char *end;

	if (!string_body(name, &p, &end))
		return false;
	if (!name->escaped)
		return (size_t) (end - p) == length && memcmp(p, utf8, length) == 0;
	while (p < end)
	{
		char		decoded[4];
		size_t		written = 1;

		if (*p != '\\')
			decoded[0] = *p++;
		else if (decode_escape(&p, end, decoded, &written) !=
				 IMPILO_JSON_TEXT_OK)
			return false;
		if (written > length || memcmp(decoded, utf8, written) != 0)
			return false;
		utf8 += written;
		length -= written;
	}
	return length == 0;
}

bool
impilo_json_int64(const ImpiloJsonSlice *number, int64_t *value)
{
	const char *p = number->data;
	const char *end;
	bool		negative;
	uint64_t	limit;
	uint64_t	result = 0;

	if (number->kind != IMPILO_JSON_NUMBER || number->length == 0)
		return false;
	end = p + number->length;
	negative = *p == '-';
	limit = (uint64_t) INT64_MAX + (negative ? 1 : 0);
	if (negative)
		p++;
	if (p == end)
		return false;
	for (; p < end; p++)
	{
		uint64_t	digit = (uint64_t) (unsigned char) *p - '0';

		if (digit > 9 || result > (limit - digit) / 10)
			return false;
		result = result * 10 + digit;
	}
	*value = (int64_t) (negative ? 0 - result : result);
	return true;
}

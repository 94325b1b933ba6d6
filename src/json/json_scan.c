/*-------------------------------------------------------------------------
 *
 * json_scan.c
 *	  JSON bytes without a tree: check, walk and read them in place.
 *
 * An order stays bytes until a column is asked for.  So a page is checked
 * once, strictly, while it is taken apart into orders; after that a value
 * that nobody wants costs a look at its brackets and quotes only, 64 bytes at
 * a time.  Nothing here recurses: the nesting is one bit a level in a word,
 * so a million opening brackets are refused at the one that is too deep.
 *
 * What this does not do: it keeps no tree, converts only plain integers,
 * does not notice repeated member names (json_find.c does, for the wanted
 * ones), and does not check UTF-8: PostgreSQL knows its encodings better.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/json/json_scan.c
 *
 *-------------------------------------------------------------------------
 */
#include "json/json_lex.h"
#include "json/json_scan.h"


/* --- one value, strictly ----------------------------------------------- */

/*
 * Open a container at p: behind its bracket, and behind the name of its first
 * member.  *empty says that it is closed already.
 */
static inline const char *
open_container(ImpiloJsonLexer *lex, const char *p, bool *empty)
{
	bool		object = *p == '{';
	ImpiloJsonSlice name;

	p = json_space(p + 1, lex->end);
	*empty = p < lex->end && *p == (object ? '}' : ']');
	if (*empty)
		return p + 1;
	return object ? json_name(lex, p, &name) : p;
}

/*
 * Behind a value inside a container: behind the comma, and the name of the
 * next member, or behind the closing bracket.
 */
static inline const char *
continue_container(ImpiloJsonLexer *lex, const char *p, bool object,
				   bool *closed)
{
	ImpiloJsonSlice name;

	*closed = false;
	p = json_space(p, lex->end);
	if (json_unlikely(p == lex->end))
		return json_fail(lex, p, object ? "unterminated object" :
						 "unterminated array");
	if (*p == ',')
	{
		p = json_space(p + 1, lex->end);
		return object ? json_name(lex, p, &name) : p;
	}
	if (json_unlikely(*p != (object ? '}' : ']')))
		return json_fail(lex, p, object ? "comma or closing brace expected" :
						 "comma or closing bracket expected");
	*closed = true;
	return p + 1;
}

/* Give the slice of a value that was passed as a whole */
static inline void
whole_value(ImpiloJsonSlice *value, const char *start, const char *end)
{
	value->data = start;
	value->length = (size_t) (end - start);
	value->kind = *start == '{' ? IMPILO_JSON_OBJECT : IMPILO_JSON_ARRAY;
	value->escaped = false;
}

const char *
impilo_json_pass(ImpiloJsonLexer *lex, const char *p, int max_depth,
				 ImpiloJsonSlice *value)
{
	const char *start = p;
	uint64_t	objects = 0;	/* one bit a level, the innermost lowest */
	int			depth = 0;
	bool		closed;
	ImpiloJsonSlice scalar;

	for (;;)
	{
		if (json_unlikely(p == lex->end))
			return json_fail(lex, p, "value expected");
		if (*p == '{' || *p == '[')
		{
			if (depth >= max_depth)
				return json_fail(lex, p, "nested too deeply");
			depth++;
			objects = (objects << 1) | (*p == '{');
			p = open_container(lex, p, &closed);
		}
		else
		{
			p = json_scalar(lex, p, depth == 0 ? value : &scalar);
			if (depth == 0 || json_unlikely(p == NULL))
				return p;
			p = continue_container(lex, p, objects & 1, &closed);
		}
		while (closed)
		{
			objects >>= 1;
			depth--;
			if (depth == 0)
			{
				whole_value(value, start, p);
				return p;
			}
			p = continue_container(lex, p, objects & 1, &closed);
		}
		if (json_unlikely(p == NULL))
			return NULL;
	}
}

bool
impilo_json_check(const char *data, size_t length, int max_depth,
				  ImpiloJsonSlice *value, ImpiloJsonError *error)
{
	ImpiloJsonLexer lex;
	const char *p;

	json_lexer_init(&lex, data + length);
	if (max_depth > IMPILO_JSON_MAX_DEPTH)
		max_depth = IMPILO_JSON_MAX_DEPTH;
	p = impilo_json_pass(&lex, json_space(data, lex.end), max_depth, value);
	if (p != NULL)
	{
		p = json_space(p, lex.end);
		if (p == lex.end)
			return true;
		json_fail(&lex, p, "text after the end of the value");
	}
	json_report(&lex, data, error);
	return false;
}

/* --- walking a container ----------------------------------------------- */

void
impilo_json_begin(ImpiloJsonCursor *cursor, const ImpiloJsonSlice *container,
				  int max_depth)
{
	cursor->start = container->data;
	cursor->at = container->data;
	cursor->end = container->data + container->length;
	cursor->max_depth = max_depth;
	if (max_depth > IMPILO_JSON_MAX_DEPTH)
		cursor->max_depth = IMPILO_JSON_MAX_DEPTH;
	cursor->first = true;
}

/*
 * Go to the next element or member, of a container with these brackets.
 * Returns its position, or NULL at the end (lex->what is NULL) or on error.
 */
static const char *
advance(ImpiloJsonCursor *cursor, ImpiloJsonLexer *lex, char opening,
		char closing)
{
	const char *p = cursor->at;

	if (cursor->first)
	{
		if (p == lex->end || *p != opening)
			return json_fail(lex, p, opening == '{' ? "object expected" :
							 "array expected");
		p++;
	}
	p = json_space(p, lex->end);
	if (p < lex->end && *p == closing)
	{
		/* a slice that goes on was not cut at the bracket that closes it */
		if (p + 1 != lex->end)
			return json_fail(lex, p + 1, "text after the end of the value");
		return NULL;
	}
	if (!cursor->first)
	{
		if (p == lex->end || *p != ',')
			return json_fail(lex, p, "comma or closing bracket expected");
		p = json_space(p + 1, lex->end);
	}
	cursor->first = false;
	return p;
}

/* The value at p, checked or only passed as the cursor wants it */
static const char *
pass_value(const ImpiloJsonCursor *cursor, ImpiloJsonLexer *lex,
		   const char *p, ImpiloJsonSlice *value)
{
	if (cursor->max_depth == IMPILO_JSON_CHECKED)
		return json_skip_value(lex, p, value);
	return impilo_json_pass(lex, p, cursor->max_depth - 1, value);
}

/* End a step at p: what the next_… functions return */
static int
end_step(ImpiloJsonCursor *cursor, const ImpiloJsonLexer *lex, const char *p,
		 ImpiloJsonError *error)
{
	if (lex->what != NULL)
	{
		json_report(lex, cursor->start, error);
		return -1;
	}
	if (p == NULL)
		return 0;
	cursor->at = p;
	return 1;
}

int
impilo_json_next_element(ImpiloJsonCursor *cursor, ImpiloJsonSlice *element,
						 ImpiloJsonError *error)
{
	ImpiloJsonLexer lex;
	const char *p;

	json_lexer_init(&lex, cursor->end);
	p = advance(cursor, &lex, '[', ']');
	if (p != NULL)
		p = pass_value(cursor, &lex, p, element);
	return end_step(cursor, &lex, p, error);
}

int
impilo_json_next_member(ImpiloJsonCursor *cursor, ImpiloJsonSlice *name,
						ImpiloJsonSlice *value, ImpiloJsonError *error)
{
	ImpiloJsonLexer lex;
	const char *p;

	json_lexer_init(&lex, cursor->end);
	p = advance(cursor, &lex, '{', '}');
	if (p != NULL)
		p = json_name(&lex, p, name);
	if (p != NULL)
		p = pass_value(cursor, &lex, p, value);
	return end_step(cursor, &lex, p, error);
}

/* --- reading a scalar -------------------------------------------------- */

/* Four hexadecimal digits at p, or -1 */
static int32_t
read_hex4(const char *p, const char *end)
{
	int32_t		code = 0;
	int			i;

	if (end - p < 4)
		return -1;
	for (i = 0; i < 4; i++)
	{
		int			digit = json_hex_value(p[i]);

		if (digit < 0)
			return -1;
		code = code * 16 + digit;
	}
	return code;
}

/* Write a code point above 0 as UTF-8, return the number of bytes */
static size_t
encode_utf8(uint32_t code, char *out)
{
	unsigned char *bytes = (unsigned char *) out;

	if (code < 0x80)
	{
		bytes[0] = (unsigned char) code;
		return 1;
	}
	if (code < 0x800)
	{
		bytes[0] = (unsigned char) (0xC0 | (code >> 6));
		bytes[1] = (unsigned char) (0x80 | (code & 0x3F));
		return 2;
	}
	if (code < 0x10000)
	{
		bytes[0] = (unsigned char) (0xE0 | (code >> 12));
		bytes[1] = (unsigned char) (0x80 | ((code >> 6) & 0x3F));
		bytes[2] = (unsigned char) (0x80 | (code & 0x3F));
		return 3;
	}
	bytes[0] = (unsigned char) (0xF0 | (code >> 18));
	bytes[1] = (unsigned char) (0x80 | ((code >> 12) & 0x3F));
	bytes[2] = (unsigned char) (0x80 | ((code >> 6) & 0x3F));
	bytes[3] = (unsigned char) (0x80 | (code & 0x3F));
	return 4;
}

/* A \u escape, with its second half if it is the first of a pair */
static ImpiloJsonText
decode_unicode(const char **at, const char *end, char *out, size_t *written)
{
	int32_t		code = read_hex4(*at, end);
	int32_t		low;

	if (code < 0)
		return IMPILO_JSON_TEXT_INVALID;
	if (code == 0)
		return IMPILO_JSON_TEXT_NUL;
	*at += 4;
	if (code >= 0xD800 && code <= 0xDFFF)
	{
		if (code >= 0xDC00 || end - *at < 6 || memcmp(*at, "\\u", 2) != 0)
			return IMPILO_JSON_TEXT_SURROGATE;
		low = read_hex4(*at + 2, end);
		if (low < 0xDC00 || low > 0xDFFF)
			return IMPILO_JSON_TEXT_SURROGATE;
		*at += 6;
		code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
	}
	*written = encode_utf8((uint32_t) code, out);
	return IMPILO_JSON_TEXT_OK;
}

/*
 * Decode the escape whose backslash is at *at into at most four bytes, and
 * move *at behind it.
 */
static ImpiloJsonText
decode_escape(const char **at, const char *end, char *out, size_t *written)
{
	static const char letters[] = "\"\\/bfnrt";
	static const char meanings[] = "\"\\/\b\f\n\r\t";
	const char *p = *at + 1;
	const char *letter;

	if (p >= end || *p == '\0')
		return IMPILO_JSON_TEXT_INVALID;
	*at = p + 1;
	if (*p == 'u')
		return decode_unicode(at, end, out, written);
	letter = strchr(letters, *p);
	if (letter == NULL)
		return IMPILO_JSON_TEXT_INVALID;
	*out = meanings[letter - letters];
	*written = 1;
	return IMPILO_JSON_TEXT_OK;
}

/* The bytes between the quotes; false if it is no string */
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
	limit = negative ? (uint64_t) INT64_MAX + 1 : (uint64_t) INT64_MAX;
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
	if (!negative)
		*value = (int64_t) result;
	else if (result == limit)
		*value = INT64_MIN;
	else
		*value = -(int64_t) result;
	return true;
}

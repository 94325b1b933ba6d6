/*-------------------------------------------------------------------------
 *
 * pointer.c
 *	  JSON Pointers (RFC 6901) as sequences of steps.
 *
 * A column's option json_pointer is taken apart once, when a statement is
 * planned; the scan then knows only steps.
 *
 * What this does not do: it reads no JSON, and it does not know the URI
 * fragment form ("#/a%20b") of section 6, which no option accepts.
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/json/pointer.c
 *
 *-------------------------------------------------------------------------
 */

#include <string.h>

#include "json/pointer.h"

size_t
impilo_pointer_count(const char *text, size_t length)
{
	size_t		count = 0;
	size_t		i;

	for (i = 0; i < length; i++)
	{
		if (text[i] == '/')
			count++;
	}
	return count;
}

/* The number that a name is as an array index, or IMPILO_POINTER_NO_INDEX */
static int32_t
array_index(const char *name, size_t length)
{
	int32_t		index = 0;
	size_t		i;

	if (length == 0 || (length > 1 && name[0] == '0'))
		return IMPILO_POINTER_NO_INDEX;
	for (i = 0; i < length; i++)
	{
		int32_t		digit = name[i] - '0';

		if (digit < 0 || digit > 9 || index > (INT32_MAX - digit) / 10)
			return IMPILO_POINTER_NO_INDEX;
		index = index * 10 + digit;
	}
	return index;
}

ImpiloPointerStep
impilo_pointer_step(const char *name, size_t length)
{
	ImpiloPointerStep step;

	step.name = name;
	step.length = length;
	step.index = array_index(name, length);
	return step;
}

static bool
fail(ImpiloPointerError *error, size_t offset, const char *what)
{
	error->offset = offset;
	error->what = what;
	return false;
}

/*
 * Decode the name that begins at text[*at] up to the next slash, and move *at
 * there.  Returns its length in `out`, or fails.
 */
static bool
decode_name(const char *text, size_t length, size_t *at, char *out,
			size_t *written, ImpiloPointerError *error)
{
	size_t		i = *at;
	size_t		n = 0;

	while (i < length && text[i] != '/')
	{
		char		c = text[i++];

		if (c == '~')
		{
			if (i == length || (text[i] != '0' && text[i] != '1'))
				return fail(error, i - 1,
							"a tilde must be followed by 0 or 1");
			c = text[i++] == '0' ? '~' : '/';
		}
		out[n++] = c;
	}
	*at = i;
	*written = n;
	return true;
}

bool
impilo_pointer_parse(const char *text, size_t length,
					 ImpiloPointerStep *steps, char *buffer,
					 ImpiloPointerError *error)
{
	size_t		at = 0;

	if (length > 0 && text[0] != '/')
		return fail(error, 0, "a pointer must be empty or begin with a slash");
	while (at < length)
	{
		size_t		start = ++at;
		size_t		written;

		if (!decode_name(text, length, &at, buffer, &written, error))
			return false;
		if (written == 1 && buffer[0] == '-')
			return fail(error, start, "the step \"-\" names the element after "
						"the last one, which cannot be read");
		*steps++ = impilo_pointer_step(buffer, written);
		buffer += written;
	}
	return true;
}

/* Add a byte if there is room, and count it in any case */
static void
put(char *buffer, size_t size, size_t *at, char c)
{
	if (*at < size)
		buffer[*at] = c;
	(*at)++;
}

size_t
impilo_pointer_format(const ImpiloPointerStep *steps, size_t count,
					  char *buffer, size_t size)
{
	size_t		at = 0;
	size_t		i;
	size_t		j;

	for (i = 0; i < count; i++)
	{
		put(buffer, size, &at, '/');
		for (j = 0; j < steps[i].length; j++)
		{
			char		c = steps[i].name[j];

			if (c == '~' || c == '/')
			{
				put(buffer, size, &at, '~');
				c = c == '~' ? '0' : '1';
			}
			put(buffer, size, &at, c);
		}
	}
	return at;
}

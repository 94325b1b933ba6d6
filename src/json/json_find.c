/*-------------------------------------------------------------------------
 *
 * json_find.c
 *	  Many wanted places of a JSON document found in one pass.
 *
 * A row of twelve columns wants twelve places of an order, many of them
 * behind the same steps.  The places form a tree, and the document is walked
 * only where the tree leads; everything else is skipped.  Servers write the
 * members of an object in the same order every time, so the place expected
 * next is tried before the others.  When all places below a container have
 * been met, the rest of it is skipped; when all places have, the pass ends.
 *
 * The walk is as deep as the longest wanted path, which is limited, so that
 * its stack is an array.
 *
 * What this does not do: it reads no values, and in bytes that were checked
 * before it does not notice errors (json_scan.c says what a check is).
 *
 * Copyright (c) 2026, the impilo_fdw authors
 *
 * IDENTIFICATION
 *	  src/json/json_find.c
 *
 *-------------------------------------------------------------------------
 */
#include "json/json_find.h"
#include "json/json_lex.h"


/* No node */
#define NONE (-1)

/* One container of the walk, the outermost first */
typedef struct Frame
{
	int32_t		node;			/* what it is in the set of wanted places */
	int32_t		expected;		/* the node below that probably comes next */
	int32_t		pending;		/* nodes below not met yet */
	int32_t		index;			/* of the next element, if an array */
	const char *start;			/* its opening bracket */
	bool		object;
	bool		first;			/* nothing in it was passed yet */
} Frame;

typedef struct Finder
{
	ImpiloJsonLexer lex;
	ImpiloJsonWanted *wanted;
	ImpiloJsonSlice *found;
	int			max_depth;		/* or IMPILO_JSON_CHECKED */
	int			depth;			/* frames in use */
	Frame		frames[IMPILO_JSON_MAX_DEPTH];
} Finder;

/* --- the set of wanted places ------------------------------------------ */

/* A node without anything below; NONE if there is no room */
static int32_t
new_node(ImpiloJsonWanted *wanted)
{
	ImpiloJsonNode *node;

	if (wanted->used >= wanted->capacity)
		return NONE;
	node = &wanted->nodes[wanted->used];
	memset(node, 0, sizeof(*node));
	node->slot = NONE;
	node->alias = NONE;
	node->child = NONE;
	node->sibling = NONE;
	node->last_index = NONE;
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
	new_node(wanted);
}

/*
 * The node one step below, made at the end of its siblings if it is new: the
 * order of the paths is a good guess at the order of the members.
 */
static int32_t
node_below(ImpiloJsonWanted *wanted, int32_t parent,
		   const ImpiloPointerStep *step)
{
	ImpiloJsonNode *nodes = wanted->nodes;
	int32_t		last = NONE;
	int32_t		at;

	for (at = nodes[parent].child; at != NONE; at = nodes[at].sibling)
	{
		if (nodes[at].step.length == step->length &&
			memcmp(nodes[at].step.name, step->name, step->length) == 0)
			return at;
		last = at;
	}
	at = new_node(wanted);
	if (at == NONE)
		return NONE;
	nodes[at].step = *step;
	if (last == NONE)
		nodes[parent].child = at;
	else
		nodes[last].sibling = at;
	nodes[parent].children++;
	nodes[parent].lengths |= UINT64_C(1) << (step->length & 63);
	if (nodes[parent].last_index < step->index)
		nodes[parent].last_index = step->index;
	return at;
}

const char *
impilo_json_want(ImpiloJsonWanted *wanted, const ImpiloPointerStep *steps,
				 size_t count, int32_t slot)
{
	static const char no_room[] = "too many wanted places";
	int32_t		at = 0;
	size_t		i;

	if (slot < 0 || slot == INT32_MAX)
		return "slot out of range";
	if (count > IMPILO_JSON_MAX_DEPTH)
		return "path too deep";
	for (i = 0; i < count; i++)
	{
		at = node_below(wanted, at, &steps[i]);
		if (at == NONE)
			return no_room;
	}
	if (wanted->nodes[at].slot != NONE)
	{
		int32_t		alias = new_node(wanted);

		if (alias == NONE)
			return no_room;
		wanted->nodes[alias].alias = wanted->nodes[at].alias;
		wanted->nodes[at].alias = alias;
		at = alias;
	}
	wanted->nodes[at].slot = slot;
	if (wanted->slots <= slot)
		wanted->slots = slot + 1;
	return NULL;
}

/* --- members and elements met ------------------------------------------ */

/* Is this the name of the node?  For a name without escapes */
static inline bool
same_name(const ImpiloJsonNode *node, const char *name, size_t length)
{
	return node->step.length == length &&
		memcmp(node->step.name, name, length) == 0;
}

/* The node for a member of the frame's object, or NONE */
static int32_t
wanted_member(const Finder *finder, const Frame *frame,
			  const ImpiloJsonSlice *name)
{
	const ImpiloJsonNode *nodes = finder->wanted->nodes;
	const char *text = name->data + 1;
	size_t		length = name->length - 2;
	int32_t		at;

	if (name->escaped)
	{
		for (at = nodes[frame->node].child; at != NONE; at = nodes[at].sibling)
		{
			if (impilo_json_name_equals(name, nodes[at].step.name,
										nodes[at].step.length))
				return at;
		}
		return NONE;
	}
	if ((nodes[frame->node].lengths >> (length & 63) & 1) == 0)
		return NONE;
	if (frame->expected != NONE &&
		same_name(&nodes[frame->expected], text, length))
		return frame->expected;
	for (at = nodes[frame->node].child; at != NONE; at = nodes[at].sibling)
	{
		if (same_name(&nodes[at], text, length))
			return at;
	}
	return NONE;
}

/* The node for the frame's next element, or NONE */
static int32_t
wanted_element(const Finder *finder, Frame *frame)
{
	const ImpiloJsonNode *nodes = finder->wanted->nodes;
	int32_t		at = NONE;

	if (frame->index <= nodes[frame->node].last_index)
	{
		for (at = nodes[frame->node].child; at != NONE; at = nodes[at].sibling)
		{
			if (nodes[at].step.index == frame->index)
				break;
		}
		frame->index++;
	}
	return at;
}

/* Give a value to every slot of a node */
static inline void
fill_slots(Finder *finder, int32_t at, const ImpiloJsonSlice *value)
{
	const ImpiloJsonNode *nodes = finder->wanted->nodes;

	if (nodes[at].slot == NONE)
		return;
	for (; at != NONE; at = nodes[at].alias)
		finder->found[nodes[at].slot] = *value;
}

/* --- the walk ---------------------------------------------------------- */

/* How many containers more may be opened here */
static inline int
depth_left(const Finder *finder)
{
	return finder->max_depth - finder->depth;
}

/* Pass a value that no wanted place is below of */
static const char *
pass_leaf(Finder *finder, const char *p, int32_t node)
{
	ImpiloJsonLexer *lex = &finder->lex;
	const ImpiloJsonNode *nodes = finder->wanted->nodes;
	ImpiloJsonSlice value;
	bool		unread;

	/* what the caller is going to walk is not checked twice */
	unread = node != NONE && nodes[node].slot != NONE &&
		nodes[node].child == NONE && depth_left(finder) > 0;
	if (finder->max_depth == IMPILO_JSON_CHECKED || unread)
		p = json_skip_value(lex, p, &value);
	else
		p = impilo_json_pass(lex, p, depth_left(finder), &value);
	if (p != NULL && node != NONE)
		fill_slots(finder, node, &value);
	return p;
}

/* How many places below a node can be in an array */
static int32_t
count_indexed(const ImpiloJsonNode *nodes, int32_t at)
{
	int32_t		count = 0;

	for (at = nodes[at].child; at != NONE; at = nodes[at].sibling)
		count += nodes[at].step.index != IMPILO_POINTER_NO_INDEX;
	return count;
}

/*
 * Pass the value at p that belongs to a node (or NONE), or step into it if
 * wanted places may be inside.
 */
static const char *
enter_value(Finder *finder, const char *p, int32_t node)
{
	const ImpiloJsonNode *nodes = finder->wanted->nodes;
	Frame	   *frame;
	bool		object;

	if (node == NONE || nodes[node].child == NONE || p == finder->lex.end)
		return pass_leaf(finder, p, node);
	object = *p == '{';
	if (!object && (*p != '[' || nodes[node].last_index == NONE))
		return pass_leaf(finder, p, node);
	if (finder->max_depth != IMPILO_JSON_CHECKED && depth_left(finder) <= 0)
		return json_fail(&finder->lex, p, "nested too deeply");

	frame = &finder->frames[finder->depth++];
	frame->node = node;
	frame->expected = nodes[node].child;
	frame->pending = object ? nodes[node].children :
		count_indexed(nodes, node);
	frame->index = 0;
	frame->start = p;
	frame->object = object;
	frame->first = true;
	return p + 1;
}

/* Leave the innermost container, whose closing bracket is before p */
static void
leave_container(Finder *finder, const char *p)
{
	const Frame *frame = &finder->frames[--finder->depth];
	ImpiloJsonSlice value;

	value.data = frame->start;
	value.length = (size_t) (p - frame->start);
	value.kind = frame->object ? IMPILO_JSON_OBJECT : IMPILO_JSON_ARRAY;
	value.escaped = false;
	fill_slots(finder, frame->node, &value);
}

/*
 * All places below the innermost container were met: leave it, and those
 * around it of which the same is true.  With all of them left, nothing more
 * is wanted.
 */
static const char *
leave_early(Finder *finder, const char *p)
{
	int			inner = finder->depth;

	for (;;)
	{
		const Frame *frame = &finder->frames[finder->depth - 1];

		if (frame->pending > 0)
			return impilo_json_skip(&finder->lex, p, inner - finder->depth);
		if (finder->wanted->nodes[frame->node].slot != NONE)
		{
			/* its end has to be known */
			p = impilo_json_skip(&finder->lex, p,
								 inner - finder->depth + 1);
			if (p != NULL)
				leave_container(finder, p);
			return p;
		}
		finder->depth--;
		if (finder->depth == 0)
			return p;
	}
}

/* The member at p, with its name */
static const char *
pass_member(Finder *finder, Frame *frame, const char *p)
{
	ImpiloJsonNode *nodes = finder->wanted->nodes;
	const char *start = p;
	ImpiloJsonSlice name;
	int32_t		node;

	p = json_name(&finder->lex, p, &name);
	if (p == NULL)
		return NULL;
	node = wanted_member(finder, frame, &name);
	if (node != NONE)
	{
		if (nodes[node].met == finder->wanted->serial)
			return json_fail(&finder->lex, start, "duplicate member");
		nodes[node].met = finder->wanted->serial;
		frame->expected = nodes[node].sibling;
		frame->pending--;
	}
	return enter_value(finder, p, node);
}

/* The element at p */
static const char *
pass_element(Finder *finder, Frame *frame, const char *p)
{
	int32_t		node = wanted_element(finder, frame);

	if (node != NONE)
		frame->pending--;
	return enter_value(finder, p, node);
}

/* One step inside the innermost container, from p */
static const char *
walk(Finder *finder, const char *p)
{
	ImpiloJsonLexer *lex = &finder->lex;
	Frame	   *frame = &finder->frames[finder->depth - 1];

	if (frame->pending == 0 && finder->max_depth == IMPILO_JSON_CHECKED)
		return leave_early(finder, p);
	p = json_space(p, lex->end);
	if (p == lex->end)
		return json_fail(lex, p, frame->object ? "unterminated object" :
						 "unterminated array");
	if (*p == (frame->object ? '}' : ']'))
	{
		leave_container(finder, p + 1);
		return p + 1;
	}
	if (!frame->first)
	{
		if (*p != ',')
			return json_fail(lex, p, frame->object ?
							 "comma or closing brace expected" :
							 "comma or closing bracket expected");
		p = json_space(p + 1, lex->end);
	}
	frame->first = false;
	return frame->object ? pass_member(finder, frame, p) :
		pass_element(finder, frame, p);
}

bool
impilo_json_find(ImpiloJsonWanted *wanted, const char *data, size_t length,
				 int max_depth, ImpiloJsonSlice *found,
				 ImpiloJsonError *error)
{
	Finder		finder;
	const char *p;

	if (wanted->slots > 0)
		memset(found, 0, sizeof(*found) * (size_t) wanted->slots);
	json_lexer_init(&finder.lex, data + length);
	finder.wanted = wanted;
	finder.found = found;
	finder.max_depth = max_depth < IMPILO_JSON_MAX_DEPTH ? max_depth :
		IMPILO_JSON_MAX_DEPTH;
	finder.depth = 0;
	wanted->serial++;

	p = json_space(data, finder.lex.end);
	p = enter_value(&finder, p, 0);
	while (p != NULL && finder.depth > 0)
		p = walk(&finder, p);
	if (p != NULL && max_depth != IMPILO_JSON_CHECKED)
	{
		p = json_space(p, finder.lex.end);
		if (p != finder.lex.end)
			p = json_fail(&finder.lex, p, "text after the end of the value");
	}
	if (p == NULL)
		json_report(&finder.lex, data, error);
	return p != NULL;
}

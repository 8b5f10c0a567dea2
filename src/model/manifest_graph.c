#include "model/manifest_graph.h"

/* Vertices are the tasks, and behind them the data nodes: a task leads to what it writes, a data node to the tasks that read it.
 * With data nodes as vertices of their own there are as many edges as names in the manifest, not their square. */
struct graph {
    const struct manifest *m;
    size_t *first;   /* the readers of data node n are readers[first[n]] … readers[first[n + 1] - 1] */
    size_t *readers; /* indices of tasks */
};

static void graph_done(struct graph *g)
{
    free(g->first);
    free(g->readers);
}

static size_t node_index(const struct graph *g, const struct data_node_config *node)
{
    return (size_t)(node - g->m->data_nodes);
}

static void graph_init(struct graph *g, const struct manifest *m)
{
    size_t total = 0;

    g->m = m;
    g->first = xcalloc(m->data_node_count + 2, sizeof(*g->first));
    for (size_t t = 0; t < m->task_count; t++)
        total += m->tasks[t].input_count;
    g->readers = xcalloc(total + 1, sizeof(*g->readers));

    /* Counting sort. Counts stand two places further on, so that filling leaves every start where it belongs. */
    for (size_t t = 0; t < m->task_count; t++)
        for (size_t i = 0; i < m->tasks[t].input_count; i++)
            g->first[node_index(g, m->tasks[t].inputs[i]) + 2]++;
    for (size_t n = 2; n < m->data_node_count + 2; n++)
        g->first[n] += g->first[n - 1];
    for (size_t t = 0; t < m->task_count; t++)
        for (size_t i = 0; i < m->tasks[t].input_count; i++)
            g->readers[g->first[node_index(g, m->tasks[t].inputs[i]) + 1]++] = t;
}

/* The vertex at the end of the nth edge that leaves vertex v; false if it has no more. */
static bool edge(const struct graph *g, size_t v, size_t n, size_t *ret_vertex)
{
    if (v < g->m->task_count) {
        const struct task_config *task = &g->m->tasks[v];

        if (n >= task->output_count)
            return false;
        *ret_vertex = g->m->task_count + node_index(g, task->outputs[n]);
        return true;
    }
    v -= g->m->task_count;
    if (n >= g->first[v + 1] - g->first[v])
        return false;
    *ret_vertex = g->readers[g->first[v] + n];
    return true;
}

static const char *vertex_id(const struct manifest *m, size_t v)
{
    return v < m->task_count ? m->tasks[v].id : m->data_nodes[v - m->task_count].id;
}

/* One vertex on the path of the search, and which of its edges comes next. */
struct step {
    size_t vertex, next;
};

static bool cycle_fault(const struct manifest *m, const struct step *path, size_t len, size_t again,
                        struct fault *fault)
{
    own(text_done) struct text way = {0};
    size_t from = 0;

    while (path[from].vertex != again)
        from++;
    for (size_t i = from; i < len; i++)
        text_printf(&way, "%s → ", vertex_id(m, path[i].vertex));
    text_append_str(&way, vertex_id(m, again));
    return fault_set(fault, FAULT_INVALID, "%s \"%s\": the graph has a cycle: %s.",
                     again < m->task_count ? "task" : "data node", vertex_id(m, again), way.data);
}

/* Depth first with a stack of our own: a chain of 10,000 tasks is no reason to run out of the thread's. Each search starts at a
 * task, and in the order of ids, so that the same manifest always gives the same message. */
bool manifest_check_acyclic(const struct manifest *m, struct fault *fault)
{
    enum { NEW, ON_PATH, FINISHED };
    own(graph_done) struct graph g = {0};
    size_t vertices = m->task_count + m->data_node_count;
    own(freep) struct step *path = xcalloc(vertices + 1, sizeof(*path));
    own(freep) uint8_t *state = xcalloc(vertices + 1, sizeof(*state));

    graph_init(&g, m);
    for (size_t start = 0; start < m->task_count; start++) {
        size_t len = 0, next;

        if (state[start] != NEW)
            continue;
        state[start] = ON_PATH;
        path[len++] = (struct step){.vertex = start};
        while (len > 0) {
            if (!edge(&g, path[len - 1].vertex, path[len - 1].next++, &next)) {
                state[path[--len].vertex] = FINISHED;
            } else if (state[next] == ON_PATH) {
                return cycle_fault(m, path, len, next, fault);
            } else if (state[next] == NEW) {
                state[next] = ON_PATH;
                path[len++] = (struct step){.vertex = next};
            }
        }
    }
    return true;
}

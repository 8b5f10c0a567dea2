#include "jobs/frame.h"

static uint64_t read_big_endian(const char *data, size_t len)
{
    uint64_t value = 0;

    for (size_t i = 0; i < len; i++)
        value = value << 8 | (uint8_t)data[i];
    return value;
}

static void write_big_endian(struct text *out, uint64_t value, size_t len)
{
    for (size_t i = len; i-- > 0;)
        text_append_char(out, (char)(value >> 8 * i));
}

enum frame_state frame_read(struct span data, struct frame *ret_frame, size_t *ret_used)
{
    if (data.len < FRAME_HEAD)
        return FRAME_PARTIAL;
    size_t len = read_big_endian(data.data, FRAME_HEAD);
    if (len < 1 || len > FRAME_MAX)
        return FRAME_BROKEN;
    if (data.len == FRAME_HEAD)
        return FRAME_PARTIAL;

    /* What can be refused by its head alone is not waited for. */
    char type = data.data[FRAME_HEAD];
    struct frame frame = {.body = {data.data + FRAME_HEAD + 1, len - 1}};
    switch (type) {
    case FRAME_MESSAGE:
        frame.type = FRAME_MESSAGE;
        break;
    case FRAME_OUTPUT:
        frame.type = FRAME_OUTPUT;
        if (frame.body.len <= FRAME_ATTEMPT || frame.body.len > FRAME_ATTEMPT + FRAME_OUTPUT_MAX)
            return FRAME_BROKEN;
        break;
    default:
        return FRAME_BROKEN;
    }
    if (data.len - FRAME_HEAD < len)
        return FRAME_PARTIAL;

    if (frame.type == FRAME_OUTPUT) {
        uint64_t attempt = read_big_endian(frame.body.data, FRAME_ATTEMPT);
        if (attempt < 1 || attempt > FRAME_NUMBER_MAX)
            return FRAME_BROKEN;
        frame.attempt = (int64_t)attempt;
        frame.body.data += FRAME_ATTEMPT;
        frame.body.len -= FRAME_ATTEMPT;
    }
    *ret_frame = frame;
    *ret_used = FRAME_HEAD + len;
    return FRAME_WHOLE;
}

bool frame_write_message(struct text *out, struct span json, struct fault *fault)
{
    if (json.len > FRAME_MAX - 1)
        return fault_set(fault, FAULT_TOO_LARGE, "A message of %zu bytes is too long for the runner's protocol (%d).",
                         json.len, FRAME_MAX - 1);
    write_big_endian(out, json.len + 1, FRAME_HEAD);
    text_append_char(out, FRAME_MESSAGE);
    text_append_span(out, json);
    return true;
}

void frame_write_output(struct text *out, int64_t attempt, struct span bytes)
{
    write_big_endian(out, 1 + FRAME_ATTEMPT + bytes.len, FRAME_HEAD);
    text_append_char(out, FRAME_OUTPUT);
    write_big_endian(out, (uint64_t)attempt, FRAME_ATTEMPT);
    text_append_span(out, bytes);
}

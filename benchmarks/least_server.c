/* What receiving images costs in C when nothing else is done: the limit of any server.
 *
 * It reads PDUs (PS3.8, 9.3), writes each data set to a file, gives that its name and answers
 * with Success. It reads no header, checks nothing it is told, keeps no index, and serves one
 * association after another: a yardstick for benchmarks, and nothing to use.
 *
 *     cc -O2 -o least_server least_server.c && ./least_server FOLDER MAXIMUM_LENGTH
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ASSOCIATE_AC = 2, ASSOCIATE_RQ = 1, DATA_TF = 4, RELEASE_RQ = 5, RELEASE_RP = 6 };
enum { HEADER = 6, PDV_HEADER = 6, IS_COMMAND = 1, IS_LAST = 2 };

static uint32_t big32(const uint8_t *at) { return (uint32_t)at[0] << 24 | at[1] << 16 | at[2] << 8 | at[3]; }
static uint32_t big16(const uint8_t *at) { return (uint32_t)at[0] << 8 | at[1]; }
static uint32_t little32(const uint8_t *at) { return (uint32_t)at[3] << 24 | at[2] << 16 | at[1] << 8 | at[0]; }

static uint8_t *put_big32(uint8_t *at, uint32_t value)
{
    *at++ = value >> 24, *at++ = value >> 16, *at++ = value >> 8, *at++ = value;
    return at;
}

static uint8_t *put_item(uint8_t *at, uint8_t kind, const void *data, uint32_t size)
{
    *at++ = kind, *at++ = 0, *at++ = size >> 8, *at++ = size;
    memcpy(at, data, size);
    return at + size;
}

static void must(int holds, const char *what)
{
    if (!holds) {
        perror(what);
        exit(1);
    }
}

/* Accept each presentation context, with the first transfer syntax that is proposed for it. */
static void accept_association(int peer, const uint8_t *asked, uint32_t size, uint32_t maximum)
{
    static uint8_t answer[1 << 16], context[256];
    uint8_t *end = answer + HEADER, length[4];
    memcpy(end, asked, 68); /* version and AE titles, as they came */
    end += 68;
    for (uint32_t at = 68; at + 4 <= size; at += 4 + big16(asked + at + 2)) {
        const uint8_t *item = asked + at + 4, *last = item + big16(asked + at + 2);
        if (asked[at] == 0x10) {
            end = put_item(end, 0x10, item, last - item);
        } else if (asked[at] == 0x20) {
            const uint8_t *inner = item + 4;
            while (inner < last && inner[0] != 0x40)
                inner += 4 + big16(inner + 2);
            context[0] = item[0], context[1] = context[2] = context[3] = 0;
            uint8_t *after = put_item(context + 4, 0x40, inner + 4, big16(inner + 2));
            end = put_item(end, 0x21, context, after - context);
        }
    }
    put_big32(length, maximum);
    uint8_t user[64], *after = put_item(user, 0x51, length, 4);
    after = put_item(after, 0x52, "1.2.3.4", 7);
    end = put_item(end, 0x50, user, after - user);
    answer[0] = ASSOCIATE_AC, answer[1] = 0;
    put_big32(answer + 2, end - answer - HEADER);
    must(write(peer, answer, end - answer) == end - answer, "A-ASSOCIATE-AC");
}

/* The elements of a C-STORE-RQ that the answer and the file's name need. */
static struct { uint8_t message[2]; char sop_class[65], instance[65]; } request;

static void read_command(const uint8_t *at, const uint8_t *end)
{
    for (; at + 8 <= end; at += 8 + little32(at + 4)) {
        uint32_t element = at[3] << 8 | at[2], size = little32(at + 4);
        char *text = element == 0x0002 ? request.sop_class : element == 0x1000 ? request.instance : NULL;
        if (element == 0x0110)
            memcpy(request.message, at + 8, 2);
        if (text != NULL && size < 65)
            memcpy(text, at + 8, size), text[size] = 0;
    }
}

static uint8_t *put_element(uint8_t *at, uint16_t element, const void *data, uint8_t size)
{
    const uint8_t header[8] = {0, 0, element & 255, element >> 8, (size + 1) & ~1, 0, 0, 0};
    memcpy(at, header, 8);
    at[8 + size] = 0;
    memcpy(at + 8, data, size);
    return at + 8 + ((size + 1) & ~1);
}

static void answer_success(int peer, uint8_t context)
{
    static const uint8_t field[2] = {0x01, 0x80}, nothing[2] = {0x01, 0x01}, success[2] = {0, 0};
    uint8_t answer[512], *start = answer + HEADER + PDV_HEADER, *end = start + 12;
    end = put_element(end, 0x0002, request.sop_class, strlen(request.sop_class));
    end = put_element(end, 0x0100, field, 2);
    end = put_element(end, 0x0120, request.message, 2);
    end = put_element(end, 0x0800, nothing, 2);
    end = put_element(end, 0x0900, success, 2);
    end = put_element(end, 0x1000, request.instance, strlen(request.instance));
    uint32_t size = end - start, group = size - 12;
    const uint8_t little[4] = {group, group >> 8, group >> 16, group >> 24};
    put_element(start, 0x0000, little, 4);
    answer[0] = DATA_TF, answer[1] = 0;
    put_big32(put_big32(answer + 2, size + PDV_HEADER), size + 2);
    answer[10] = context, answer[11] = IS_COMMAND | IS_LAST;
    must(write(peer, answer, end - answer) == end - answer, "C-STORE-RSP");
}

static void serve(int peer, const char *folder, uint32_t maximum)
{
    uint8_t *buffer = malloc(HEADER + (maximum < 1 << 20 ? 1 << 20 : maximum));
    char spooled[512], named[512];
    int one = 1, file = -1;
    must(buffer != NULL, "memory");
    snprintf(spooled, sizeof spooled, "%s/spooled", folder);
    setsockopt(peer, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    while (recv(peer, buffer, HEADER, MSG_WAITALL) == HEADER) {
        uint32_t size = big32(buffer + 2);
        uint8_t *at = buffer + HEADER, *end = at + size;
        must(size <= (maximum < 1 << 20 ? 1u << 20 : maximum), "a PDU that is too long");
        must(recv(peer, at, size, MSG_WAITALL) == (ssize_t)size, "a PDU that ends early");
        setsockopt(peer, IPPROTO_TCP, TCP_QUICKACK, &one, sizeof one);
        if (buffer[0] == RELEASE_RQ) {
            buffer[0] = RELEASE_RP;
            must(write(peer, buffer, HEADER + 4) == HEADER + 4, "A-RELEASE-RP");
        } else if (buffer[0] == ASSOCIATE_RQ) {
            accept_association(peer, at, size, maximum);
        }
        while (buffer[0] == DATA_TF && at < end) {
            uint8_t *data = at + PDV_HEADER, *next = at + 4 + big32(at), context = at[4], flags = at[5];
            if (flags & IS_COMMAND) {
                read_command(data, next);
                file = open(spooled, O_WRONLY | O_CREAT | O_EXCL, 0666);
                must(file >= 0, spooled);
            } else {
                must(write(file, data, next - data) == next - data, spooled);
                if (flags & IS_LAST) {
                    close(file);
                    snprintf(named, sizeof named, "%s/%s", folder, request.instance);
                    must(rename(spooled, named) == 0, named);
                    answer_success(peer, context);
                }
            }
            at = next;
        }
    }
    free(buffer);
    close(peer);
}

int main(int count, char **arguments)
{
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof here;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    must(count == 3, "FOLDER MAXIMUM_LENGTH");
    must(bind(listener, (struct sockaddr *)&here, size) == 0 && listen(listener, 16) == 0, "listening");
    getsockname(listener, (struct sockaddr *)&here, &size);
    printf("READY dicom=127.0.0.1:%d\n", ntohs(here.sin_port));
    fflush(stdout);
    for (;;)
        serve(accept(listener, NULL, NULL), arguments[1], strtoul(arguments[2], NULL, 10));
}

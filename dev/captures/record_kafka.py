#!/usr/bin/env python3
"""Records tests/cases/kafka/input.pcap: two real client libraries against a broker that is only as much of one as they need.

    pip install kafka-python==3.0.12; apt-get install kcat tcpdump
    sudo dev/captures/record_kafka.py tests/cases/kafka/input.pcap

Runs in a network namespace of its own, whose lo has the MTU of Ethernet, so that messages span segments. The clients are
kafka-python and kcat (librdkafka). The broker encodes its replies with kafka-python's tables, answers a Produce after 5 ms
(so that more of them are under way), and cuts every third reply in two, 3 bytes behind its beginning.
"""
import os
import socket
import struct
import subprocess
import sys
import threading
import time

PORT = 9092
TOPICS = {"orders": 2, "refused": 1}
# API key, newest version offered: Produce 9, Metadata 9 and ApiVersions 3 are flexible versions.
OFFERED = {0: 9, 1: 11, 2: 2, 3: 9, 10: 2, 18: 3}
LOGS = {}


def serve(listener):
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=talk, args=(connection,), daemon=True).start()


def talk(connection):
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    stream = connection.makefile("rb")
    count = 0
    while len(head := stream.read(4)) == 4:
        frame = stream.read(struct.unpack(">i", head)[0])
        reply = answer(frame)
        if reply is None:
            continue
        count += 1
        cut = 3 if count % 3 == 0 else len(reply)
        connection.sendall(reply[:cut])
        if cut < len(reply):
            time.sleep(0.001)
            connection.sendall(reply[cut:])


def answer(frame):
    from kafka.protocol import consumer, metadata, producer

    key, version, correlation = struct.unpack_from(">hhi", frame)
    asks, answers = {
        0: (producer.ProduceRequest, producer.ProduceResponse),
        1: (consumer.FetchRequest, consumer.FetchResponse),
        2: (consumer.ListOffsetsRequest, consumer.ListOffsetsResponse),
        3: (metadata.MetadataRequest, metadata.MetadataResponse),
        18: (metadata.ApiVersionsRequest, metadata.ApiVersionsResponse),
    }[key]
    if version > OFFERED[key]:
        # As a broker does: the error in version 0, and what it offers.
        version = 0
        reply = answers(version=0, error_code=35, api_keys=offers(answers))
    else:
        asked = asks[version].decode(frame, header=True)
        reply = globals()[f"answer_{key}"](asked, answers, version)
    if reply is None:
        return None
    reply.with_header(correlation_id=correlation)
    return reply.encode(header=True, framed=True)


def offers(answers):
    return [answers.ApiVersion(api_key=key, min_version=0, max_version=most) for key, most in OFFERED.items()]


def answer_18(asked, answers, version):
    return answers(version=version, error_code=0, api_keys=offers(answers), throttle_time_ms=0)


def answer_3(asked, answers, version):
    names = list(TOPICS) if asked.topics is None or (version == 0 and not asked.topics) else [t.name for t in asked.topics]
    topics = []
    for name in names:
        partitions = [
            answers.MetadataResponseTopic.MetadataResponsePartition(
                error_code=0, partition_index=n, leader_id=1, leader_epoch=0, replica_nodes=[1], isr_nodes=[1],
                offline_replicas=[])
            for n in range(TOPICS.get(name, 0))
        ]
        topics.append(answers.MetadataResponseTopic(
            error_code=0 if name in TOPICS else 3, name=name, is_internal=False, partitions=partitions))
    broker = answers.MetadataResponseBroker(node_id=1, host="127.0.0.1", port=PORT, rack=None)
    return answers(
        version=version, throttle_time_ms=0, brokers=[broker], cluster_id="tcplens", controller_id=1, topics=topics)


def answer_0(asked, answers, version):
    time.sleep(0.005)
    responses = []
    for topic in asked.topic_data:
        partitions = []
        for partition in topic.partition_data:
            error = 29 if topic.name == "refused" else 0
            log = LOGS.setdefault((topic.name, partition.index), [])
            offset = sum(count for count, _ in log)
            if not error:
                records = bytes(partition.records)
                # Where the batch says how many records it has (record batch format, magic 2).
                log.append((struct.unpack_from(">i", records, 57)[0], struct.pack(">q", offset) + records[8:]))
            partitions.append(answers.TopicProduceResponse.PartitionProduceResponse(
                index=partition.index, error_code=error, base_offset=-1 if error else offset, log_append_time_ms=-1,
                log_start_offset=0, record_errors=[], error_message=None))
        responses.append(answers.TopicProduceResponse(name=topic.name, partition_responses=partitions))
    return None if asked.acks == 0 else answers(version=version, responses=responses, throttle_time_ms=0)


def answer_2(asked, answers, version):
    topics = []
    for topic in asked.topics:
        partitions = []
        for partition in topic.partitions:
            log = LOGS.get((topic.name, partition.partition_index), [])
            end = sum(count for count, _ in log)
            partitions.append(answers.ListOffsetsTopicResponse.ListOffsetsPartitionResponse(
                partition_index=partition.partition_index, error_code=0, timestamp=-1,
                offset=0 if partition.timestamp == -2 else end))
        topics.append(answers.ListOffsetsTopicResponse(name=topic.name, partitions=partitions))
    return answers(version=version, throttle_time_ms=0, topics=topics)


def answer_1(asked, answers, version):
    responses = []
    has_data = False
    for topic in asked.topics:
        partitions = []
        for partition in topic.partitions:
            log = LOGS.get((topic.topic, partition.partition), [])
            offset, records = 0, b""
            for count, batch in log:
                if offset + count > partition.fetch_offset:
                    records += batch
                offset += count
            has_data |= bool(records)
            partitions.append(answers.FetchableTopicResponse.PartitionData(
                partition_index=partition.partition, error_code=0, high_watermark=offset, last_stable_offset=offset,
                log_start_offset=0, aborted_transactions=None, preferred_read_replica=-1, records=records))
        responses.append(answers.FetchableTopicResponse(topic=topic.topic, partitions=partitions))
    if not has_data:
        time.sleep(asked.max_wait_ms / 1000)
    return answers(version=version, throttle_time_ms=0, error_code=0, session_id=0, responses=responses)


def clients():
    import kafka
    from kafka import KafkaConsumer, KafkaProducer, TopicPartition

    server = f"127.0.0.1:{PORT}"
    options = {"bootstrap_servers": server}
    # Every message a request of its own, five of them under way.
    producer = KafkaProducer(
        client_id="shop", acks=1, linger_ms=0, batch_size=0, max_in_flight_requests_per_connection=5,
        enable_idempotence=False, **options)
    sent = [producer.send("orders", b"%d" % n * 700, partition=n % 2) for n in range(8)]
    for future in sent:
        future.get(timeout=10)
    refused = producer.send("refused", b"secret")
    try:
        refused.get(timeout=10)
        raise SystemExit("the broker should have refused")
    except kafka.errors.TopicAuthorizationFailedError:
        pass
    producer.close()

    careless = KafkaProducer(client_id="careless", acks=0, linger_ms=0, enable_idempotence=False, **options)
    for n in range(2):
        careless.send("orders", b"maybe", partition=n)
        careless.flush()
    careless.close()

    consumer = KafkaConsumer(client_id="billing", group_id=None, auto_offset_reset="earliest", fetch_max_wait_ms=50, **options)
    consumer.assign([TopicPartition("orders", n) for n in range(2)])
    seen = 0
    while seen < 10:
        seen += sum(map(len, consumer.poll(timeout_ms=500).values()))
    consumer.close()

    kcat = ["kcat", "-b", server, "-X", "client.id=kcat", "-X", "broker.address.family=v4"]
    subprocess.run(kcat + ["-P", "-t", "orders", "-p", "1"], input=b"one\ntwo\n", check=True)
    subprocess.run(kcat + ["-C", "-t", "orders", "-p", "1", "-o", "-2", "-e", "-q", "-X", "fetch.wait.max.ms=50"], check=True,
                   stdout=subprocess.DEVNULL)


def main():
    output = os.path.abspath(sys.argv[1])
    if os.environ.get("IN_NAMESPACE") is None:
        os.environ["IN_NAMESPACE"] = "1"
        os.execvp("unshare", ["unshare", "-n", sys.executable, os.path.abspath(__file__), output])
    subprocess.run(["ip", "link", "set", "lo", "mtu", "1500", "gso_max_segs", "1", "up"], check=True)
    # librdkafka resolves not even 127.0.0.1 on a host that has no other address.
    subprocess.run(["ip", "address", "add", "192.0.2.1/32", "dev", "lo"], check=True)
    listener = socket.create_server(("127.0.0.1", PORT))
    threading.Thread(target=serve, args=(listener,), daemon=True).start()
    recorder = subprocess.Popen(
        ["tcpdump", "-i", "lo", "-U", "-w", output, "-s", "0", "tcp", "port", str(PORT)], stderr=subprocess.PIPE)
    recorder.stderr.readline()
    time.sleep(0.5)
    try:
        clients()
        time.sleep(0.5)
    finally:
        recorder.terminate()
        recorder.wait()
    print(output, os.path.getsize(output), "bytes")


if __name__ == "__main__":
    main()

"""The script that one writes when there is no tool: asyncio, aiohttp, so many calls at once.

ask_asyncio.py URL WIDTH, in a folder with documents.jsonl; writes answers.jsonl."""

import asyncio
import json
import sys

import aiohttp


async def main(url, width):
    with open("documents.jsonl") as file:
        documents = [json.loads(line) for line in file]
    turn = asyncio.Semaphore(width)
    connector = aiohttp.TCPConnector(limit=width)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def ask(document):
            message = {"role": "user", "content": document["prompt"]}
            body = {"model": "mock", "messages": [message]}
            async with turn, session.post(f"{url}/chat/completions", json=body) as reply:
                answer = await reply.json()
            return {"id": document["id"], "answer": answer["choices"][0]["message"]["content"]}

        answers = await asyncio.gather(*map(ask, documents))
    with open("answers.jsonl", "w") as file:
        file.writelines(json.dumps(answer) + "\n" for answer in answers)


asyncio.run(main(sys.argv[1], int(sys.argv[2])))

"""A small shop: every quote makes some sixty small calls. It knows nothing of Mystic or its peers."""

import time

from basket import quote
from fastapi import FastAPI

app = FastAPI()


@app.get("/quote/{customer}")
async def get_quote(customer: int, country: str = "AT"):
    return await quote(customer, country)


@app.get("/spent")
async def spent():
    return {"cpu_ns": time.process_time_ns()}
